// opwright/seal.hpp - tells a whole plugin library from a damaged one before it is mapped. C++17.
//
// dlopen of a file that was cut short ends the process with SIGBUS, one with damaged tables makes it crash later. So
// the packager ends each library with a seal, and loaders that want to survive damage check it first. plugin.hpp does;
// hosts that call dlopen themselves need not know of it: bytes behind the ELF file mean nothing to the linker.
#ifndef OPWRIGHT_SEAL_HPP
#define OPWRIGHT_SEAL_HPP

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace opwright {

/// The last bytes of a library file, little endian.
struct Seal {
  unsigned char hash[32]; ///< opw_tables_t.hash: tells whether what dlopen gave is what was checked
  uint64_t bytes;         ///< of the whole file, this seal included
  uint64_t checksum;      ///< CRC-32 of all before this field: finds any damage within four bytes for certain
  char magic[8];
};
static_assert(sizeof(Seal) == 56);
inline constexpr char kSealMagic[9] = "opwseal1";

/// CRC-32 as in zlib; pass the result of the bytes before to go on. About 2 GB/s.
inline uint32_t crc32(const void *data, size_t size, uint32_t crc = 0) noexcept {
  struct Tables { // Tables::of[k][b]: byte b with k zero bytes behind it
    std::array<std::array<uint32_t, 256>, 8> of{};
    constexpr Tables() {
      for (uint32_t b = 0; b < 256; ++b) {
        uint32_t c = b;
        for (int bit = 0; bit < 8; ++bit)
          c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        of[0][b] = c;
      }
      for (size_t k = 1; k < 8; ++k)
        for (size_t b = 0; b < 256; ++b)
          of[k][b] = of[k - 1][b] >> 8 ^ of[0][of[k - 1][b] & 255];
    }
  };
  static constexpr Tables kTables;
  const auto &t = kTables.of;
  const auto *p = static_cast<const unsigned char *>(data);
  crc = ~crc;
  for (; size >= 8; p += 8, size -= 8) {
    uint32_t a, b;
    std::memcpy(&a, p, 4);
    std::memcpy(&b, p + 4, 4);
    a ^= crc;
    crc = t[7][a & 255] ^ t[6][a >> 8 & 255] ^ t[5][a >> 16 & 255] ^ t[4][a >> 24] ^ t[3][b & 255] ^
          t[2][b >> 8 & 255] ^ t[1][b >> 16 & 255] ^ t[0][b >> 24];
  }
  for (; size; ++p, --size)
    crc = crc >> 8 ^ t[0][(crc ^ *p) & 255];
  return ~crc;
}

/// The seal for a file that so far has these bytes.
inline Seal makeSeal(const void *file, size_t size, const unsigned char (&hash)[32]) noexcept {
  Seal seal{};
  std::memcpy(seal.hash, hash, sizeof seal.hash);
  seal.bytes = size + sizeof seal;
  seal.checksum = crc32(&seal, offsetof(Seal, checksum), crc32(file, size));
  std::memcpy(seal.magic, kSealMagic, sizeof seal.magic);
  return seal;
}

/// What is known of a library file before it is mapped.
struct FileCheck {
  std::string refusal; ///< why it must not be mapped, with the path and what to do; empty: it may
  bool sealed = false;
  Seal seal{}; ///< where sealed
};

namespace detail {

/// Appends what a file has up to `size` bytes in all; false with errno. A file that ends earlier is no error.
inline bool readTo(int fd, std::vector<char> &bytes, size_t size) {
  size_t have = bytes.size();
  bytes.resize(size);
  while (have < size) {
    ssize_t n = read(fd, bytes.data() + have, size - have);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    if (n == 0)
      break;
    have += static_cast<size_t>(n);
  }
  bytes.resize(have);
  return true;
}

/// The whole file, or the first bytes of one that is no ELF file: the path may be that of anything. 0 or an errno.
inline int readLibrary(const std::string &path, std::vector<char> &bytes) {
  struct Opened {
    int fd;
    ~Opened() {
      if (fd >= 0)
        close(fd);
    }
  } const file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)}; // never waits for the other end of a pipe
  struct stat info;
  if (file.fd < 0 || fstat(file.fd, &info) != 0)
    return errno;
  if (!S_ISREG(info.st_mode))
    return S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
  if (!readTo(file.fd, bytes, sizeof(Elf64_Ehdr)))
    return errno;
  if (bytes.size() < sizeof(Elf64_Ehdr) || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0)
    return 0;
  return readTo(file.fd, bytes, std::max(bytes.size(), static_cast<size_t>(info.st_size))) ? 0 : errno;
}

/// The end of what the headers of a 64-bit shared library place in its file; 0 when there are no such headers.
inline uint64_t extentOf(const std::vector<char> &bytes) {
  const unsigned char ident[] = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
  Elf64_Ehdr head;
  if (bytes.size() < sizeof head)
    return 0;
  std::memcpy(&head, bytes.data(), sizeof head);
  if (std::memcmp(head.e_ident, ident, sizeof ident) != 0 || head.e_type != ET_DYN ||
      head.e_phentsize != sizeof(Elf64_Phdr))
    return 0;
  uint64_t end = 0;
  auto place = [&](uint64_t offset, uint64_t size) {
    end = std::max(end, offset + size < offset ? UINT64_MAX : offset + size);
  };
  place(head.e_phoff, uint64_t{head.e_phnum} * sizeof(Elf64_Phdr));
  for (uint64_t i = 0; end <= bytes.size() && i < head.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, bytes.data() + head.e_phoff + i * sizeof segment, sizeof segment);
    place(segment.p_offset, segment.p_filesz);
  }
  if (head.e_shnum)
    place(head.e_shoff, uint64_t{head.e_shnum} * head.e_shentsize);
  return end;
}

} // namespace detail

/// Reads a library file and tells whether it may be mapped: its headers place nothing beyond its end, and it is what
/// its seal says. A seal that is there is always checked; `needSeal` refuses a file without one. Does not throw but for
/// memory.
inline FileCheck checkFile(const std::string &path, bool needSeal = true) {
  FileCheck found;
  std::vector<char> bytes;
  if (int error = detail::readLibrary(path, bytes)) {
    found.refusal = path + " cannot be read (" + std::strerror(error) + "); build the plugin again or correct the path";
    return found;
  }
  const std::string cure = "; copy or build it again";
  const uint64_t end = detail::extentOf(bytes);
  if (end == 0) {
    found.refusal = path + " is not a shared library: it does not open with the header of one; check the path";
    return found;
  }
  if (end > bytes.size()) {
    found.refusal = path + " is cut short: found " + std::to_string(bytes.size()) + " bytes, expected at least " +
                    std::to_string(end) + cure;
    return found;
  }
  if (bytes.size() >= end + sizeof(Seal))
    std::memcpy(&found.seal, bytes.data() + bytes.size() - sizeof(Seal), sizeof(Seal));
  found.sealed = std::memcmp(found.seal.magic, kSealMagic, sizeof found.seal.magic) == 0;
  if (!found.sealed) {
    if (needSeal)
      found.refusal = path + " has no seal: it was cut short or changed after it was built, or it was made by hand" +
                      cure + ", or ask for an unsealed library";
    return found;
  }
  const uint64_t checksum = crc32(bytes.data(), bytes.size() - sizeof(Seal) + offsetof(Seal, checksum));
  if (found.seal.bytes != bytes.size() || found.seal.checksum != checksum)
    found.refusal = path + " is damaged: found " + std::to_string(bytes.size()) + " bytes with the checksum " +
                    std::to_string(checksum) + ", sealed were " + std::to_string(found.seal.bytes) + " with " +
                    std::to_string(found.seal.checksum) + cure;
  return found;
}

} // namespace opwright
#endif
