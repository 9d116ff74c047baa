#include "structure.h"

#include "names.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <utility>

namespace opw::fuzz {

namespace {

bool endsBlock(std::string_view line) {
  line = trimmed(line);
  for (std::string_view end : {"tt.return", "scf.yield", "scf.condition", "cf.br", "cf.cond_br", "tt.reduce.return",
                               "tt.scan.return", "tt.map_elementwise.return", "}"})
    if (line.substr(0, end.size()) == end)
      return true;
  return false;
}

void replaceAll(std::string &text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

void swapWord(std::string &line, Random &random) {
  std::vector<std::pair<size_t, const Family *>> found;
  std::vector<size_t> sizes;
  for (const Family &family : families())
    for (std::string_view word : family)
      for (size_t at = line.find(word); at != std::string::npos; at = line.find(word, at + 1)) {
        found.emplace_back(at, &family);
        sizes.push_back(word.size());
      }
  if (found.empty())
    return;
  size_t pick = random.below(found.size());
  const Family &family = *found[pick].second;
  line.replace(found[pick].first, sizes[pick], family[random.below(family.size())]);
}

constexpr std::string_view kElements[] = {"i1",   "i8",  "i16", "i32",    "i64",      "f16",
                                          "bf16", "f32", "f64", "f8E5M2", "f8E4M3FN", "i4"};

/// Everywhere at once: what was of one type stays of one.
void changeElement(std::string &text, Random &random) {
  std::string_view from = kElements[random.below(std::size(kElements))],
                   to = kElements[random.below(std::size(kElements))];
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + 1)) {
    bool alone = at > 0 && (text[at - 1] == 'x' || !isWord(text[at - 1])) && text[at - 1] != '%' &&
                 (at + from.size() == text.size() || !isWord(text[at + from.size()]));
    if (alone)
      text.replace(at, from.size(), to);
  }
}

void changeExtent(std::string &text, Random &random) {
  std::string from = std::to_string(1u << random.below(11)),
              to = std::to_string(1u << random.below(random.oneIn(6) ? 20 : 9));
  replaceAll(text, "<" + from + "x", "<" + to + "x");
  replaceAll(text, "x" + from + "x", "x" + to + "x");
  replaceAll(text, "end = " + from + " ", "end = " + to + " ");
  replaceAll(text, "dense<" + from + ">", "dense<" + to + ">");
}

void changeNumber(std::string &line, Random &random) {
  static const char *const kNumbers[] = {"0",
                                         "1",
                                         "2",
                                         "-1",
                                         "7",
                                         "31",
                                         "64",
                                         "127",
                                         "-128",
                                         "65535",
                                         "2147483647",
                                         "-2147483648",
                                         "9223372036854775807",
                                         "1.5",
                                         "0x7FC00000",
                                         "1048576"};
  std::vector<std::pair<size_t, size_t>> numbers;
  for (size_t at = 0; at < line.size(); ++at) {
    bool starts = (std::isdigit(static_cast<unsigned char>(line[at])) != 0 || line[at] == '-') &&
                  (at == 0 || (!isWord(line[at - 1]) && line[at - 1] != '%'));
    size_t end = at + 1;
    while (starts && end < line.size() && (isWord(line[end]) || line[end] == '+'))
      ++end;
    if (starts && line.compare(at, 2, "->") != 0)
      numbers.emplace_back(at, end - at);
  }
  if (numbers.empty())
    return;
  auto [at, size] = numbers[random.below(numbers.size())];
  line.replace(at, size, kNumbers[random.below(std::size(kNumbers))]);
}

void replaceOperand(Lines &lines, Random &random) {
  std::vector<Use> uses = usesIn(lines);
  if (uses.empty())
    return;
  const Use use = uses[random.below(uses.size())];
  std::vector<Named> names = namesOf(lines);
  std::string name = lines[use.line].substr(use.at, use.size), type;
  for (const Named &each : names)
    if (each.name == name && each.line <= use.line)
      type = each.type;
  if (const Named *other =
          anyOf(names, random, random.oneIn(20) ? lines.size() : use.line, random.oneIn(20) ? "" : type))
    lines[use.line].replace(use.at, use.size, other->name);
}

/// What stands from a line to the end of its block goes into a region of its own.
void nest(Lines &lines, Random &random) {
  size_t from = random.below(lines.size());
  if (!isPlain(lines[from]))
    return;
  size_t to = from;
  for (int depth = 0; to < lines.size(); ++to) {
    std::string_view line = lines[to];
    if (depth == 0 && endsBlock(line))
      break;
    for (char c : line)
      depth += c == '{' ? 1 : c == '}' ? -1 : 0;
  }
  std::vector<Named> names = namesOf(lines);
  size_t times = random.oneIn(20) ? 1 + random.below(300) : 1 + random.below(2);
  std::string open, close;
  const Named *truth = anyOf(names, random, from, "i1");
  const Named *low = anyOf(names, random, from, "i32"), *high = anyOf(names, random, from, "i32");
  bool asLoop = low != nullptr && (truth == nullptr || random.oneIn(2));
  if (!asLoop && truth == nullptr)
    return;
  for (size_t i = 0; i < times; ++i) {
    open += asLoop ? "scf.for " + fresh(random) + " = " + low->name + " to " + high->name + " step " + high->name +
                         " : i32 {\n"
                   : "scf.if " + truth->name + " {\n";
    close += "}\n";
  }
  lines.insert(lines.begin() + static_cast<ptrdiff_t>(std::min(to, lines.size())), close);
  lines.insert(lines.begin() + static_cast<ptrdiff_t>(from), open);
}

void duplicate(Lines &lines, size_t at, Random &random) {
  std::string copy = lines[at];
  size_t equals = copy.find(" = "), name = copy.find('%');
  if (equals != std::string::npos && name < equals)
    copy.replace(name, equals - name, fresh(random));
  lines.insert(lines.begin() + static_cast<ptrdiff_t>(at), copy);
}

void move(Lines &lines, size_t at, Random &random) {
  std::string line = lines[at];
  size_t other = random.oneIn(2) ? random.below(lines.size()) : std::min(at + 1 + random.below(8), lines.size() - 1);
  lines.erase(lines.begin() + static_cast<ptrdiff_t>(at));
  lines.insert(lines.begin() + static_cast<ptrdiff_t>(std::min(other, lines.size())), std::move(line));
}

} // namespace

void mutateStructure(std::string &text, Random &random) {
  if (random.oneIn(12))
    return changeExtent(text, random);
  if (random.oneIn(12))
    return changeElement(text, random);
  Lines lines = linesOf(text);
  if (lines.empty())
    return;
  size_t at = random.below(lines.size());
  for (int tries = 0; tries < 16 && !isPlain(lines[at]); ++tries)
    at = random.below(lines.size());
  switch (random.below(12)) {
  case 0:
    std::swap(lines[at], lines[random.below(lines.size())]);
    break;
  case 1:
    duplicate(lines, at, random);
    break;
  case 2:
    lines.erase(lines.begin() + static_cast<ptrdiff_t>(at));
    break;
  case 3:
    move(lines, at, random);
    break;
  case 4:
  case 5:
    swapWord(lines[at], random);
    break;
  case 6:
    changeNumber(lines[at], random);
    break;
  case 7:
    nest(lines, random);
    break;
  case 8:
  case 9:
    insertOp(lines, random);
    break;
  default:
    replaceOperand(lines, random);
  }
  text = join(lines);
}

} // namespace opw::fuzz
