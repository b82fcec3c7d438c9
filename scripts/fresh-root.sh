#!/usr/bin/env bash
# Runs the two commands of the README in a new Debian, each in a root of its own: `npm run fresh`, as root, on Debian.
#
# What is committed is cloned into the root. This machine gives it Node.js and npm, and the settings by which packages are
# reached (sources, certificates, npm's and Maven's configuration), nothing else.
#
#   npm run fresh -- shop test    which of the commands (both by default)
#   HOLD=60 npm run fresh -- test another program holds the locks of the package manager for so many seconds
#   BROKEN=/usr/bin/redis-server npm run fresh -- test   this program is replaced by one that exits with 1
set -euo pipefail
cd "$(dirname "$0")/.."
checkout=$PWD
work=$(mktemp -d -t kts-fresh-XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT

which debootstrap >/dev/null || { apt-get update -q; apt-get install --yes -q debootstrap; }
mirror=$(apt-get indextargets --format '$(SITE)' | head -n 1)
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")

# A minimal system, made once and copied for each command.
base=$work/base
echo "> debootstrap --variant=minbase $suite"
debootstrap --variant=minbase --include=ca-certificates,git "$suite" "$base" "$mirror" >"$work/debootstrap.log" ||
  { tail -n 20 "$work/debootstrap.log"; exit 1; }
rm -rf "$base/etc/apt/sources.list"
cp -a /etc/apt/sources.list.d /etc/apt/trusted.gpg.d "$base/etc/apt/"
[ -e /etc/apt/sources.list ] && cp /etc/apt/sources.list "$base/etc/apt/"
find /etc/apt -maxdepth 1 -name 'trusted.gpg' -exec cp {} "$base/etc/apt/" \;
mkdir -p "$base/usr/local/share/ca-certificates" "$base/root" "$base/usr/etc"
cp -a /usr/local/share/ca-certificates/. "$base/usr/local/share/ca-certificates/"
cp /etc/resolv.conf /etc/hosts "$base/etc/"
for file in /root/.npmrc /usr/etc/npmrc /etc/npmrc /root/.m2/settings.xml; do
  [ -e "$file" ] && install -D "$file" "$base$file"
done
chroot "$base" update-ca-certificates >/dev/null 2>&1
for file in /usr/share/keyrings/*; do cp -n "$file" "$base/usr/share/keyrings/"; done
# Node.js and npm as they are here.
cp "$(readlink -f "$(command -v node)")" "$base/usr/bin/node"
mkdir -p "$base/usr/lib/node_modules"
cp -a "$(npm root -g)/npm" "$base/usr/lib/node_modules/"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$base/usr/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$base/usr/bin/npx"

# Runs a script in a copy of the base, in namespaces of its own for processes and mounts.
inside() {
  local root=$work/$1
  cp -a "$base" "$root"
  git clone --quiet "$checkout" "$root/srv/koa-typed-session"
  unshare --mount --pid --fork --kill-child bash -c '
    set -euo pipefail
    mount --make-rprivate /; mount --bind "$1" "$1"
    mount -t proc proc "$1/proc"; mount --rbind /sys "$1/sys"; mount --rbind /dev "$1/dev"
    mount -t tmpfs tmpfs "$1/dev/shm"; mount -t tmpfs tmpfs "$1/tmp"; mkdir -p "$1/run/lock"
    exec chroot "$1" env -i HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      CI=true NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
      HOLD="${HOLD:-}" BROKEN="${BROKEN:-}" bash -euo pipefail -c "cd /srv/koa-typed-session; $2"
  ' bash "$root" "$2"
  rm -rf --one-file-system "$root"
}

shop='
npm ci
npm run shop >/tmp/shop.log 2>&1 &
for try in $(seq 120); do
  if node -e "fetch(\"http://localhost:3000/\").then((r) => { console.log(\"the shop answers\", r.status); process.exit(r.ok ? 0 : 1) }, () => process.exit(1))"; then
    kill %1; exit 0
  fi
  sleep 1
done
cat /tmp/shop.log; exit 1'

tests='
npm ci
if [ -n "$HOLD" ]; then
  perl -MFcntl -e "
    for my \$name (qw(/var/lib/dpkg/lock-frontend /var/lib/apt/lists/lock)) {
      open(my \$file, q(>>), \$name) or die; push @held, \$file;
      my \$lock = pack(q(s s l! l! i), F_WRLCK, 0, 0, 0, 0); fcntl(\$file, F_SETLK, \$lock) or die \$name;
    }
    sleep $HOLD" &
  sleep 1
fi
if [ -n "$BROKEN" ]; then
  node --import=tsx test/servers/packages.ts
  printf "#!/bin/sh\nexit 1\n" >"$BROKEN"; chmod +x "$BROKEN"
fi
began=$(date +%s)
npm test || code=$?
echo "npm test took $(($(date +%s) - began)) s"
if [ -n "$HOLD" ]; then wait; fi
echo "processes besides this one:"; ps -eo pid,args | grep -vE "bash -euo|ps -eo|grep -vE|PID" || echo "  none"
echo "in the temporary directory:"; ls -A /tmp | grep . || echo "  nothing"
echo "in shared memory:"; ls -A /dev/shm | grep . || echo "  nothing"
git status --short
exit ${code:-0}'

[ $# -gt 0 ] || set -- shop test
for command in "$@"; do
  echo "> $command"
  case $command in
    shop) inside shop "$shop" ;;
    test) inside test "$tests" ;;
    *) echo "fresh-root: '$command' is neither shop nor test" >&2; exit 2 ;;
  esac
done
