// Writes a checkpoint as torch.save (2.7 and later) and anemoi's save_metadata leave it, without Python: for the
// demonstration, the tests and the benchmarks. Bulk is sparse: a file of 4.5 GB takes no room and no time.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kZip64 = 0xFFFFFFFF;  // values from here on stand in zip64 fields

template <class T>
std::string le(T value) {
  std::string out(sizeof value, '\0');
  for (char& c : out) {
    c = static_cast<char>(value & 0xFF);
    value = static_cast<T>(value >> 7 >> 1);
  }
  return out;
}
std::string u16(std::uint64_t v) { return le(static_cast<std::uint16_t>(v)); }
std::string u32(std::uint64_t v) { return le(static_cast<std::uint32_t>(v)); }
std::string u64(std::uint64_t v) { return le(v); }

std::uint32_t crc_of(const std::string& bytes, std::uint64_t zeros) {
  uLong crc = crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
  // The CRC of 2^n zero bytes comes from that of half as many.
  const Bytef zero = 0;
  uLong block = crc32(0, &zero, 1);
  for (std::uint64_t n = 1; zeros != 0; n *= 2, zeros /= 2) {
    if (zeros & 1) crc = crc32_combine(crc, block, static_cast<z_off_t>(n));
    block = crc32_combine(block, block, static_cast<z_off_t>(n));
  }
  return static_cast<std::uint32_t>(crc);
}

/// The archive, written front to back; zeros are left as holes.
class Archive {
 public:
  Archive(const std::string& path, std::string root) : root_(std::move(root)) {
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd_ < 0) throw std::runtime_error(path + ": " + std::strerror(errno));
  }

  /// As torch's writer does: zero local header, "FB" padding to 64 bytes, a descriptor unless it is empty.
  void add_torch(const std::string& record, const std::string& bytes, std::uint64_t zeros = 0) {
    const std::string name = root_ + "/" + record;
    const std::uint64_t size = bytes.size() + zeros, header = at_;
    std::string zip64;
    if (size >= kZip64) zip64 += u64(size) + u64(size);
    if (header >= kZip64) zip64 += u64(header);
    if (!zip64.empty()) zip64 = u16(1) + u16(zip64.size()) + zip64;
    const std::uint64_t bare = header + 30 + name.size() + zip64.size() + 4;
    const std::uint64_t pad = (kAlignment - bare % kAlignment) % kAlignment;
    const std::string extra = zip64 + "FB" + u16(pad) + std::string(pad, 'Z');
    const std::uint64_t flags = size > 0 ? 0x808 : 0x800;
    put("PK\3\4" + u16(0) + u16(flags) + u16(0) + u32(0) + u32(0) + u32(0) + u32(0) + u16(name.size()) +
        u16(extra.size()) + name + extra);
    put(bytes);
    at_ += zeros;
    const std::uint32_t crc = crc_of(bytes, zeros);
    if (size > 0) {
      const bool wide = size >= kZip64 || header >= kZip64;
      put("PK\7\10" + u32(crc) + (wide ? u64(size) + u64(size) : u32(size) + u32(size)));
    }
    list(name, 0, flags, 0, crc, size, header, 0);
  }

  /// As Python's zipfile appends: no padding, no descriptor, dated 2024-01-01, mode 0600.
  void add_zipfile(const std::string& record, const std::string& bytes) {
    const std::string name = root_ + "/" + record;
    const std::uint64_t header = at_, date = 0x5821;
    const std::uint32_t crc = crc_of(bytes, 0);
    put("PK\3\4" + u16(20) + u16(0) + u16(0) + u16(0) + u16(date) + u32(crc) + u32(bytes.size()) + u32(bytes.size()) +
        u16(name.size()) + u16(0) + name + bytes);
    list(name, 0x0314, 0, date, crc, bytes.size(), header, 0600u << 16);
  }

  void finish() {
    const std::uint64_t begin = at_;
    put(directory_);
    const std::uint64_t end = at_, size = end - begin;
    put("PK\6\6" + u64(44) + u16(0x031e) + u16(45) + u32(0) + u32(0) + u64(count_) + u64(count_) + u64(size) +
        u64(begin));
    put("PK\6\7" + u32(0) + u64(end) + u32(1));
    const std::uint64_t few = count_ < 0xFFFF ? count_ : 0xFFFF;
    put("PK\5\6" + u16(0) + u16(0) + u16(few) + u16(few) + u32(size) + u32(begin < kZip64 ? begin : kZip64) + u16(0));
    if (::ftruncate(fd_, static_cast<off_t>(at_)) != 0 || ::close(fd_) != 0)
      throw std::runtime_error(std::strerror(errno));
  }

 private:
  void put(const std::string& bytes) {
    if (::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at_)) != static_cast<ssize_t>(bytes.size()))
      throw std::runtime_error(std::strerror(errno));
    at_ += bytes.size();
  }

  void list(const std::string& name, std::uint64_t made_by, std::uint64_t flags, std::uint64_t date, std::uint32_t crc,
            std::uint64_t size, std::uint64_t header, std::uint64_t mode) {
    std::string zip64;
    if (size >= kZip64) zip64 += u64(size) + u64(size);
    if (header >= kZip64) zip64 += u64(header);
    if (!zip64.empty()) zip64 = u16(1) + u16(zip64.size()) + zip64;
    const std::uint64_t narrow = size < kZip64 ? size : kZip64;
    directory_ += "PK\1\2" + u16(made_by) + u16(made_by ? 20 : 0) + u16(flags) + u16(0) + u16(0) + u16(date) +
                  u32(crc) + u32(narrow) + u32(narrow) + u16(name.size()) + u16(zip64.size()) + u16(0) + u16(0) +
                  u16(0) + u32(mode) + u32(header < kZip64 ? header : kZip64) + name + zip64;
    ++count_;
  }

  int fd_ = -1;
  std::string root_, directory_;
  std::uint64_t at_ = 0, count_ = 0;
};

struct Tensor {
  std::string name;
  std::vector<std::uint32_t> shape;
  std::vector<float> values;  // the rest is zero
  std::uint64_t count() const {
    std::uint64_t n = 1;
    for (const auto d : shape) n *= d;
    return n;
  }
};

std::string pickled(const std::string& text) { return "X" + u32(text.size()) + text; }
std::string pickled(std::uint32_t number) { return "J" + u32(number); }
std::string tuple(const std::string& items) { return "(" + items + "t"; }
std::string global(const std::string& module, const std::string& name) { return "c" + module + "\n" + name + "\n"; }

/// {"state_dict": {name: tensor}, "epoch": 3} in protocol 2, with the opcodes that weights_only accepts.
std::string pickle_of(const std::vector<Tensor>& tensors) {
  std::string dict = "}(";
  for (std::size_t key = 0; key < tensors.size(); ++key) {
    const Tensor& t = tensors[key];
    std::string shape, stride;
    std::uint64_t step = t.count();
    for (const auto d : t.shape) {
      shape += pickled(d);
      stride += pickled(static_cast<std::uint32_t>(step /= d));
    }
    const std::string storage =
        tuple(pickled("storage") + global("torch", "FloatStorage") + pickled(std::to_string(key)) + pickled("cpu") +
              pickled(static_cast<std::uint32_t>(t.count()))) +
        "Q";
    dict += pickled(t.name) + global("torch._utils", "_rebuild_tensor_v2") +
            tuple(storage + pickled(0u) + tuple(shape) + tuple(stride) + "\x89" + global("collections", "OrderedDict") +
                  ")R") +
            "R";
  }
  return "\x80\x02}(" + pickled("state_dict") + dict + "u" + pickled("epoch") + pickled(3u) + "u.";
}

std::string raw(const std::vector<double>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)};
}

/// What anemoi trains with, in short; `filler` bytes of it are a list of names, for documents of a given size.
std::string metadata(std::uint64_t filler, std::size_t points) {
  std::string names;
  for (std::uint64_t i = 0; names.size() < filler; ++i)
    names += (i ? ", \"" : "\"") + std::string("variable_") + std::to_string(i) + "\"";
  const std::string shape = "[" + std::to_string(points) + "]";
  const auto entry = [&](const std::string& name, const std::string& dtype) {
    return "\"" + name + "\": {\"path\": \"ROOT/anemoi-metadata/" + name + ".numpy\", \"shape\": " + shape +
           ", \"dtype\": \"" + dtype + "\"}";
  };
  return "{\"version\": \"1.0\", \"run_id\": \"2f3d\", \"config\": {\"dataloader\": {\"dataset\": "
         "\"/old/path/era5.zarr\", "
         "\"batch_size\": 4}, \"training\": {\"lr\": 0.000625, \"max_epochs\": 300, \"precision\": \"16-mixed\"}, "
         "\"diagnostics\": null}, \"dataset\": {\"variables\": [\"2t\", \"10u\", \"10v\", \"msl\"], \"names\": [" +
         names + "]}, \"supporting_arrays_paths\": {" + entry("latitudes", "float64") + ", " +
         entry("cutout_mask", "bool") + "}}";
}

struct Request {
  std::string path, root = "archive";
  std::uint64_t bytes = 1 << 20, tensors = 4, document = 0, points = 1000;
  bool with_metadata = true;
};

void make(const Request& r) {
  std::vector<Tensor> tensors;
  for (std::uint64_t i = 0; i < r.tensors; ++i) {
    // 1,024 columns of float32: the rows make up the size that was asked for.
    const std::uint64_t rows = r.bytes / r.tensors / 4096;
    Tensor t{
        "layer" + std::to_string(i) + ".weight", {static_cast<std::uint32_t>(rows ? rows : 1), rows ? 1024u : 8u}, {}};
    for (std::uint32_t n = 0; n < 8; ++n) t.values.push_back(static_cast<float>(i) + static_cast<float>(n) / 8);
    tensors.push_back(t);
  }

  Archive archive(r.path, r.root);
  archive.add_torch("data.pkl", pickle_of(tensors));
  archive.add_torch(".format_version", "1");
  archive.add_torch(".storage_alignment", "64");
  archive.add_torch("byteorder", "little");
  for (std::size_t key = 0; key < tensors.size(); ++key) {
    const std::string head(reinterpret_cast<const char*>(tensors[key].values.data()), tensors[key].values.size() * 4);
    archive.add_torch("data/" + std::to_string(key), head, tensors[key].count() * 4 - head.size());
  }
  archive.add_torch("version", "3\n");
  archive.add_torch(".data/serialization_id", "0636067136370011571812962158834109811526");
  if (r.with_metadata) {
    std::vector<double> latitudes;
    std::string mask;
    for (std::uint64_t i = 0; i < r.points; ++i) {
      latitudes.push_back(90 - 180.0 * static_cast<double>(i) / static_cast<double>(r.points));
      mask += static_cast<char>(i % 3 == 0);
    }
    std::string text = metadata(r.document, r.points);
    for (std::size_t at; (at = text.find("ROOT/")) != std::string::npos;) text.replace(at, 4, r.root);
    archive.add_zipfile("anemoi-metadata/anemoi.json", text);
    archive.add_zipfile("anemoi-metadata/latitudes.numpy", raw(latitudes));
    archive.add_zipfile("anemoi-metadata/cutout_mask.numpy", mask);
  }
  archive.finish();
}

constexpr const char* kUsage =
    "Usage: make_sample PATH [--bytes N] [--tensors N] [--document N] [--points N] [--root NAME] [--no-metadata]\n"
    "  --bytes     of all tensors together (default 1 MiB); all but a few are zero and take no room on disk\n"
    "  --tensors   how many (default 4), each with a storage of its own\n"
    "  --document  at least that many bytes of metadata (default 0: some 800)\n"
    "  --points    items of each supporting array (default 1000)\n";

Request parse(int argc, char** argv) {
  Request r;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&] {
      if (++i == argc) throw std::runtime_error(word + ": expected a value");
      return argv[i];
    };
    if (word == "--bytes") r.bytes = std::strtoull(value(), nullptr, 10);
    else if (word == "--tensors") r.tensors = std::strtoull(value(), nullptr, 10);
    else if (word == "--document") r.document = std::strtoull(value(), nullptr, 10);
    else if (word == "--points") r.points = std::strtoull(value(), nullptr, 10);
    else if (word == "--root") r.root = value();
    else if (word == "--no-metadata") r.with_metadata = false;
    else if (word[0] == '-' || !r.path.empty()) throw std::runtime_error(kUsage);
    else r.path = word;
  }
  if (r.path.empty() || r.tensors == 0) throw std::runtime_error(kUsage);
  return r;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    make(parse(argc, argv));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "make_sample: %s\n", e.what());
    return 1;
  }
}
