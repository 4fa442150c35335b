#include "cli/channel.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

#include "ckptree/error.hpp"

namespace ckptree::cli {

namespace {

// A sentence with a path in it; what is longer is cut.
constexpr std::size_t kLongest = 32 << 10;

/// A message with room for one descriptor beside it.
struct Envelope {
  explicit Envelope(void* data, std::size_t size) : content{data, size} {
    message.msg_iov = &content;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
  }
  iovec content;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
};

}  // namespace

std::pair<Channel, Channel> Channel::pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) throw_errno("socketpair");
  return {Channel(Fd(ends[0])), Channel(Fd(ends[1]))};
}

void Channel::send(const std::string& text, int descriptor) const {
  std::string cut = text.substr(0, kLongest);
  Envelope envelope(cut.data(), cut.size());
  if (descriptor < 0) {
    envelope.message.msg_controllen = 0;
  } else {
    cmsghdr* header = CMSG_FIRSTHDR(&envelope.message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  while (::sendmsg(end_.get(), &envelope.message, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

std::optional<std::string> Channel::receive(Fd* descriptor) const {
  std::string text(kLongest, '\0');
  Envelope envelope(text.data(), text.size());
  ssize_t size;
  while ((size = ::recvmsg(end_.get(), &envelope.message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  if (size <= 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(size));
  const cmsghdr* header = CMSG_FIRSTHDR(&envelope.message);
  if (header && header->cmsg_type == SCM_RIGHTS) {
    int received;
    std::memcpy(&received, CMSG_DATA(header), sizeof received);
    Fd owner(received);
    if (descriptor) *descriptor = std::move(owner);
  }
  return text;
}

}  // namespace ckptree::cli
