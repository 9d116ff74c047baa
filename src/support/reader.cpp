#include "support/reader.h"

#include "support/text.h"

#include <charconv>

namespace opw {

namespace {

constexpr unsigned kMaxNesting = 100;

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isHexDigit(char c) { return isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isWordPart(char c) { return isLetter(c) || isDigit(c) || c == '$' || c == '.'; }
bool isNamePart(char c) { return isWordPart(c) || c == '-'; }

unsigned hexValue(char c) {
  if (isDigit(c))
    return static_cast<unsigned>(c - '0');
  return static_cast<unsigned>((c | 0x20) - 'a') + 10;
}

} // namespace

std::string unquote(std::string_view quoted) {
  std::string_view body = quoted.substr(1, quoted.size() - 2);
  std::string out;
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\' || i + 1 == body.size()) {
      out += body[i];
    } else if (i + 2 < body.size() && isHexDigit(body[i + 1]) && isHexDigit(body[i + 2])) {
      out += static_cast<char>(hexValue(body[i + 1]) * 16 + hexValue(body[i + 2]));
      i += 2;
    } else {
      char c = body[++i];
      out += c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
  }
  return out;
}

TokenReader::TokenReader(std::string_view text, const std::string &fileName) : source(text), fileName(fileName) {
  advance();
}

void TokenReader::skipBlanks(Cursor &cursor) const {
  while (cursor.offset < source.size()) {
    char c = source[cursor.offset];
    if (c == '\n') {
      ++cursor.offset;
      ++cursor.line;
      cursor.lineStart = cursor.offset;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      ++cursor.offset;
    } else if (source.substr(cursor.offset, 2) == "//") {
      cursor.offset = std::min(source.find('\n', cursor.offset), source.size());
    } else {
      return;
    }
  }
}

size_t TokenReader::endOfNumber(size_t start, Token::Kind &kind) const {
  auto charAt = [&](size_t i) { return i < source.size() ? source[i] : '\0'; };
  size_t i = start;
  kind = Token::Kind::Integer;
  if (charAt(i) == '0' && charAt(i + 1) == 'x' && isHexDigit(charAt(i + 2))) {
    kind = Token::Kind::Hex;
    for (i += 2; isHexDigit(charAt(i)); ++i)
      ;
    return i;
  }
  while (isDigit(charAt(i)))
    ++i;
  if (charAt(i) == '.') {
    kind = Token::Kind::Float;
    for (++i; isDigit(charAt(i)); ++i)
      ;
  }
  bool isExponent = charAt(i) == 'e' || charAt(i) == 'E';
  bool isSigned = charAt(i + 1) == '+' || charAt(i + 1) == '-';
  if (isExponent && isDigit(charAt(i + (isSigned ? 2 : 1)))) {
    kind = Token::Kind::Float;
    for (i += isSigned ? 2 : 1; isDigit(charAt(i)); ++i)
      ;
  }
  return i;
}

/// Behind the closing quote, or 0 when the line ends first.
size_t TokenReader::endOfString(size_t start) const {
  for (size_t i = start + 1; i < source.size(); ++i) {
    if (source[i] == '"')
      return i + 1;
    if (source[i] == '\n')
      return 0;
    if (source[i] == '\\')
      ++i;
  }
  return 0;
}

Token TokenReader::finish(Token::Kind kind, Cursor &cursor, size_t end, size_t drop) const {
  Token out;
  out.kind = kind;
  out.text = source.substr(cursor.offset + drop, end - cursor.offset - drop);
  out.line = cursor.line;
  out.column = static_cast<uint32_t>(cursor.offset - cursor.lineStart + 1);
  cursor.offset = end;
  return out;
}

/// Reads the token at the cursor, which stands behind blanks, and moves the cursor behind the token.
Token TokenReader::lex(Cursor &cursor) const {
  size_t start = cursor.offset;
  if (start >= source.size())
    return finish(Token::Kind::End, cursor, source.size(), 0);
  auto endWhile = [&](size_t i, bool (*accepts)(char)) {
    while (i < source.size() && accepts(source[i]))
      ++i;
    return i;
  };
  char c = source[start];
  if (isLetter(c))
    return finish(Token::Kind::Word, cursor, endWhile(start, isWordPart), 0);
  if (isDigit(c)) {
    Token::Kind kind;
    size_t end = endOfNumber(start, kind);
    return finish(kind, cursor, end, 0);
  }
  bool isString = c == '"' || (c == '@' && start + 1 < source.size() && source[start + 1] == '"');
  if (isString) {
    size_t sign = c == '@' ? 1 : 0;
    size_t end = endOfString(start + sign);
    if (end == 0)
      return finish(Token::Kind::Bad, cursor, std::min(source.find('\n', start), source.size()), 0);
    return finish(sign != 0 ? Token::Kind::Symbol : Token::Kind::String, cursor, end, sign);
  }
  bool isArrow = c == '-' && start + 1 < source.size() && source[start + 1] == '>';
  if (isArrow)
    return finish(Token::Kind::Arrow, cursor, start + 2, 0);
  Token::Kind kind = c == '%'   ? Token::Kind::Value
                     : c == '^' ? Token::Kind::Block
                     : c == '@' ? Token::Kind::Symbol
                     : c == '!' ? Token::Kind::Bang
                     : c == '#' ? Token::Kind::Hash
                                : Token::Kind::Sign;
  if (kind == Token::Kind::Sign) {
    bool known = std::string_view("(){}[]<>,:=*?-+/|;").find(c) != std::string_view::npos;
    return finish(known ? Token::Kind::Sign : Token::Kind::Bad, cursor, start + 1, 0);
  }
  size_t end = endWhile(start + 1, kind == Token::Kind::Value || kind == Token::Kind::Block ? isNamePart : isWordPart);
  bool mayBeEmpty = kind == Token::Kind::Block || kind == Token::Kind::Hash;
  if (end == start + 1 && !mayBeEmpty)
    return finish(Token::Kind::Bad, cursor, end, 0);
  return finish(kind, cursor, end, 1);
}

void TokenReader::advance() {
  begin = next;
  skipBlanks(begin);
  next = begin;
  token = lex(next);
}

Token TokenReader::peek() const {
  Cursor cursor = next;
  skipBlanks(cursor);
  return lex(cursor);
}

bool TokenReader::accept(char sign) {
  if (!at(sign))
    return false;
  advance();
  return true;
}

bool TokenReader::accept(Token::Kind kind) {
  if (!at(kind))
    return false;
  advance();
  return true;
}

bool TokenReader::acceptWord(std::string_view word) {
  if (!atWord(word))
    return false;
  advance();
  return true;
}

void TokenReader::expect(char sign, std::string_view where) {
  if (!accept(sign))
    failExpected("'" + std::string(1, sign) + "' " + std::string(where));
}

void TokenReader::expect(Token::Kind kind, std::string_view where) {
  if (!accept(kind))
    failExpected(where);
}

void TokenReader::expectWord(std::string_view word, std::string_view where) {
  if (!acceptWord(word))
    failExpected("'" + std::string(word) + "' " + std::string(where));
}

std::string_view TokenReader::take(Token::Kind kind, std::string_view what) {
  if (!at(kind))
    failExpected(what);
  std::string_view text = token.text;
  advance();
  return text;
}

std::string TokenReader::takeString(std::string_view what) { return unquote(take(Token::Kind::String, what)); }

int64_t TokenReader::takeInteger(std::string_view what) {
  Token first = token;
  bool negative = accept('-');
  bool hex = at(Token::Kind::Hex);
  if (!hex && !at(Token::Kind::Integer))
    failExpected(what);
  std::string_view digits = token.text.substr(hex ? 2 : 0);
  uint64_t magnitude = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, hex ? 16 : 10);
  bool tooSmall = negative && magnitude > (uint64_t{1} << 63);
  if (error != std::errc() || tooSmall)
    fail(first, "integer " + excerpt(token.text) + " is too large, expected at most 64 bits");
  advance();
  return static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
}

bool TokenReader::takeDimension(uint64_t &extent) {
  if (at('?') || at('*'))
    fail(token, "found '" + std::string(token.text) + "' as an extent, expected a number",
         "only tensors of a known shape can be compiled");
  if (!at(Token::Kind::Integer) && !at(Token::Kind::Hex))
    return false;
  size_t end = begin.offset;
  while (end < source.size() && isDigit(source[end]))
    ++end;
  if (end >= source.size() || source[end] != 'x')
    failExpected("'x' after an extent");
  auto [stop, error] = std::from_chars(source.data() + begin.offset, source.data() + end, extent);
  if (error != std::errc())
    fail(token, "extent " + excerpt(source.substr(begin.offset, end - begin.offset)) + " is too large");
  begin.offset = end + 1;
  next = begin;
  token = lex(next);
  return true;
}

std::string_view TokenReader::takeBalanced(char close) {
  Token opened = token;
  size_t start = begin.offset;
  size_t open = 0;
  for (; !at(Token::Kind::End) && !at(Token::Kind::Bad); advance()) {
    if (open == 0 && at(close)) {
      std::string_view text = source.substr(start, begin.offset - start);
      advance();
      return text;
    }
    if (at('(') || at('[') || at('{') || at('<'))
      ++open;
    bool closes = at(')') || at(']') || at('}') || at('>');
    if (closes && open-- == 0)
      break;
  }
  failExpected("'" + std::string(1, close) + "' to close the bracket at line " + std::to_string(opened.line));
}

void TokenReader::fail(const Token &where, std::string message, std::string hint) const {
  Diagnostic diagnostic;
  diagnostic.where = rangeOf(where);
  diagnostic.message = std::move(message);
  diagnostic.hint = std::move(hint);
  throw SyntaxError{std::move(diagnostic)};
}

void TokenReader::failExpected(std::string_view what, std::string hint) const {
  std::string found = token.kind == Token::Kind::End ? "the end of the text" : "";
  if (found.empty()) {
    size_t end = std::max(next.offset, begin.offset + 1);
    found = "'" + excerpt(source.substr(begin.offset, end - begin.offset)) + "'";
  }
  bool unclosed = token.kind == Token::Kind::Bad && !token.text.empty() && token.text[0] == '"';
  if (unclosed)
    found += " (a string without its closing quote)";
  if (token.kind == Token::Kind::End && hint.empty())
    hint = "the text ends too early: was it cut off?";
  fail(token, "expected " + std::string(what) + ", found " + found, std::move(hint));
}

TokenReader::Nested::Nested(TokenReader &reader) : reader(reader) {
  if (++reader.depth > kMaxNesting) {
    --reader.depth;
    reader.fail(reader.token, "nested deeper than " + std::to_string(kMaxNesting) + " levels",
                "split the kernel into smaller pieces");
  }
}

} // namespace opw
