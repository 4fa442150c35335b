# Sourced by demo.sh and run.sh, from the top of the repository.

# Installs the Debian packages that the given lists name, if any is missing. Without a missing one it needs no network.
install_packages() {
  missing=
  for package in $(sed 's/#.*//' "$@"); do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
      installed) ;;
      *) missing="$missing $package" ;;
    esac
  done
  [ -n "$missing" ] || return 0
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "These Debian packages are missing, and there is no sudo:$missing" >&2
      exit 1
    }
    as_root=sudo
  fi
  echo "Installing Debian packages:$missing"
  $as_root apt-get update -qq
  # shellcheck disable=SC2086  # a list
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# Sets up and compiles in folder $1; the rest are options of meson setup. A folder that another meson made is made anew.
build() {
  folder=$1
  shift
  log=$(mktemp)
  echo "Compiling in $folder"
  { [ -d "$folder" ] && meson setup --reconfigure "$folder" "$@" >"$log" 2>&1; } ||
    { rm -rf "$folder" && meson setup "$folder" "$@" >"$log" 2>&1; } ||
    { cat "$log" >&2; rm -f "$log"; exit 1; }
  ninja -C "$folder" >"$log" 2>&1 || { tail -n 60 "$log" >&2; rm -f "$log"; exit 1; }
  rm -f "$log"
}
