// Lexer and reading primitives of the two texts that the compiler parses: TTIR and the printed IR. Both have MLIR's
// tokens.
//
// A parser holds a TokenReader and calls accept and expect. A mistake in the text throws SyntaxError, which the parse
// function at the top turns into a Result: it never leaves the library that parses.
#pragma once

#include "support/diagnostic.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace opw {

struct Token {
  enum class Kind : uint8_t {
    End,
    Bad,     ///< not a token; `text` is what stands there
    Word,    ///< tt.load, x, allow_reorder
    Value,   ///< %name, without the sign
    Block,   ///< ^name, without the sign; the name may be empty
    Symbol,  ///< @name or @"name", without the sign, quotes included
    Bang,    ///< !tt.ptr, without the sign
    Hash,    ///< #loc12 or #2, without the sign
    Integer, ///< 12
    Hex,     ///< 0xFF80
    Float,   ///< 1.0e+00
    String,  ///< quotes included, escapes as written
    Arrow,   ///< ->
    Sign,    ///< any other single character
  };
  Kind kind = Kind::End;
  std::string_view text;
  uint32_t line = 1;
  uint32_t column = 1;

  bool is(char sign) const { return kind == Kind::Sign && text[0] == sign; }
  bool isWord(std::string_view word) const { return kind == Kind::Word && text == word; }
};

struct SyntaxError {
  Diagnostic diagnostic;
};

class TokenReader {
public:
  /// Both must outlive the reader.
  TokenReader(std::string_view text, const std::string &fileName);

  const Token &current() const { return token; }
  bool at(Token::Kind kind) const { return token.kind == kind; }
  bool at(char sign) const { return token.is(sign); }
  bool atWord(std::string_view word) const { return token.isWord(word); }
  /// The token after the current one.
  Token peek() const;
  void advance();

  bool accept(char sign);
  bool accept(Token::Kind kind);
  bool acceptWord(std::string_view word);
  /// `where` completes the message "expected ',' ...", for example "between operands".
  void expect(char sign, std::string_view where);
  void expect(Token::Kind kind, std::string_view where);
  void expectWord(std::string_view word, std::string_view where);
  /// Takes a token of the kind and returns its text; `what` names it in the message.
  std::string_view take(Token::Kind kind, std::string_view what);
  /// A string token without quotes and escapes.
  std::string takeString(std::string_view what);
  /// An integer or hexadecimal number with an optional minus sign; numbers of 64 bits are read modulo 2^64.
  int64_t takeInteger(std::string_view what);

  /// Reads "64x32x" at the current token, character by character, and leaves the current token behind it. Returns false
  /// when there are no more dimensions; a `?` or an asterisk is an error.
  bool takeDimension(uint64_t &extent);
  /// Skips to the bracket that closes the one before the current token and returns the text between; the closing one is
  /// taken.
  std::string_view takeBalanced(char close);

  [[noreturn]] void fail(const Token &where, std::string message, std::string hint = {}) const;
  /// "expected <what>, found '<token>'" at the current token.
  [[noreturn]] void failExpected(std::string_view what, std::string hint = {}) const;
  SourceRange rangeOf(const Token &where) const { return {fileName, where.line, where.column}; }

  /// Bounds the recursion of the parser: constructed where a rule can contain itself.
  class Nested {
  public:
    explicit Nested(TokenReader &reader);
    ~Nested() { --reader.depth; }
    Nested(const Nested &) = delete;
    Nested &operator=(const Nested &) = delete;

  private:
    TokenReader &reader;
  };

private:
  struct Cursor {
    size_t offset = 0;
    uint32_t line = 1;
    size_t lineStart = 0;
  };
  Token lex(Cursor &cursor) const;
  void skipBlanks(Cursor &cursor) const;
  Token finish(Token::Kind kind, Cursor &cursor, size_t end, size_t drop) const;
  size_t endOfNumber(size_t start, Token::Kind &kind) const;
  size_t endOfString(size_t start) const;

  std::string_view source;
  const std::string &fileName;
  Cursor begin; ///< of the current token
  Cursor next;  ///< behind it
  Token token;
  unsigned depth = 0;
};

/// The text of a string token: without its quotes, escapes replaced.
std::string unquote(std::string_view quoted);

} // namespace opw
