#pragma once
// XXH3-128: finds what a disk or a cable did to bytes. It is no protection against a person.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace tandem {

class Hash128 {
 public:
  Hash128();
  ~Hash128();
  Hash128(Hash128&&) noexcept;
  Hash128& operator=(Hash128&&) noexcept;

  void add(const void* bytes, std::size_t count);
  std::string hex() const;  // of all bytes so far: 32 digits, most significant first

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string hash128(std::string_view bytes);

}  // namespace tandem
