# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# Sourced by check.sh and demo.sh: what Debian 12 must have, in one place.
# dpkg-query decides, so a machine that has everything is not touched and needs
# neither root nor a network.

PKG_BUILD="gcc make autoconf automake libtool pkg-config libc6-dev
	libssl-dev libjansson-dev libcjose-dev libsrtp2-dev libmicrohttpd-dev
	libgnutls28-dev libcurl4-openssl-dev libsqlite3-dev liboauth2-dev
	libjwt-dev libical-dev libqrencode-dev libsystemd-dev libseccomp-dev
	libre-dev libcmocka-dev"
# a faster cipher for the forwarder, where Debian has it
[ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ] ||
	PKG_BUILD="$PKG_BUILD libipsec-mb-dev"
# what the end-to-end road needs: people's login, speech, a clock on packets
PKG_ROAD="python3 openssl curl ca-certificates iproute2 util-linux binutils
	espeak-ng ffmpeg libcbor0.8 libconfig9 libgnutls30 libhoel1.4
	libiddawc1.1 libjansson4 libldap-2.5-0 libnettle8 liboath0
	liborcania2.3 librhonabwy1.1 libulfius2.7 libyder2.0 zlib1g"
PKG_CHECK="clang clang-format libclang-rt-14-dev llvm mandoc shellcheck
	git python3-aiortc python3-cryptography python3-icalendar python3-aiosmtpd
	procps python3-yaml python3-jsonschema systemd zbar-tools zsh
	libnss-wrapper libdb5.3 libgnutls-dane0 libidn12 libidn2-0 libnsl2
	libpcre2-8-0 vlc-bin vlc-plugin-base
	gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
	gstreamer1.0-plugins-ugly gstreamer1.0-libav
	dbus libevent-core-2.1-7 libevent-extra-2.1-7 libevent-openssl-2.1-7
	libevent-pthreads-2.1-7 libhiredis0.14 libmariadb3 libpq5"

# Keys stand in locked memory; some systems start with less than is allowed.
ulimit -S -l "$(ulimit -H -l)" 2>/dev/null || :

# perch_missing PACKAGE...: print those that are not installed
perch_missing()
{
	for p in "$@"; do
		st=$(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null)
		case $st in
		ii*) ;;
		*) printf '%s ' "$p" ;;
		esac
	done
}

# perch_install LOG PACKAGE...: install what is missing, or say what to do
perch_install()
{
	apt_log=$1
	shift
	if ! command -v dpkg-query >/dev/null; then
		echo "This is not Debian; you need: $*" >&2
		return 1
	fi
	want=$(perch_missing "$@")
	[ -n "$want" ] || return 0
	sudo=
	if [ "$(id -u)" -ne 0 ]; then
		sudo="sudo -n"
		if ! $sudo true 2>/dev/null; then
			echo "Run as root: apt-get install $want" >&2
			return 1
		fi
	fi
	apt="$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -y
		-o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300"
	# shellcheck disable=SC2086
	if ! { $apt update && $apt install --no-install-recommends $want; } \
		>"$apt_log" 2>&1 </dev/null; then
		tail -n 20 "$apt_log" >&2
		echo "apt could not install: $want" >&2
		return 1
	fi
}

# perch_glewlwyd DIR: where glewlwyd's files are, set as PERCH_GLEWLWYD. Its
# package starts a server with a known password when it is installed, so we
# only unpack it (its libraries are in PKG_ROAD).
perch_glewlwyd()
{
	PERCH_GLEWLWYD=$1
	export PERCH_GLEWLWYD
	if [ -x /usr/bin/glewlwyd ]; then
		PERCH_GLEWLWYD=/
	elif [ ! -x "$1/usr/bin/glewlwyd" ]; then
		rm -rf "$1" && mkdir -p "$1" && (
			cd "$1" && apt-get -qq download glewlwyd glewlwyd-common ||
				exit 1
			for deb in *.deb; do dpkg-deb -x "$deb" .; done
			# its pages link to other packages' scripts and fonts
			for d in fonts fonts-fork-awesome javascript nodejs; do
				[ -e "usr/share/$d" ] ||
					ln -s "/usr/share/$d" "usr/share/$d"
			done
		)
	fi
}

# perch_exim DIR: a mail server, set as PERCH_EXIM. Mail servers of Debian shut
# each other out and start a daemon, so this one is only unpacked too (its
# libraries, and what lets it run as anybody, are in PKG_CHECK).
perch_exim()
{
	PERCH_EXIM=$1/usr/sbin/exim4
	export PERCH_EXIM
	if [ -x /usr/sbin/exim4 ]; then
		PERCH_EXIM=/usr/sbin/exim4
	elif [ ! -x "$PERCH_EXIM" ]; then
		rm -rf "$1" && mkdir -p "$1" && (
			cd "$1" && apt-get -qq download exim4-daemon-light &&
				dpkg-deb -x ./*.deb . && chmod u-s usr/sbin/exim4
		)
	fi
}

# perch_coturn DIR: a TURN server, set as PERCH_COTURN. Its package starts one
# that relays for everybody, so it is only unpacked as well.
perch_coturn()
{
	PERCH_COTURN=$1/usr/bin/turnserver
	export PERCH_COTURN
	if [ -x /usr/bin/turnserver ]; then
		PERCH_COTURN=/usr/bin/turnserver
	elif [ ! -x "$PERCH_COTURN" ]; then
		rm -rf "$1" && mkdir -p "$1" && (
			cd "$1" && apt-get -qq download coturn &&
				dpkg-deb -x ./*.deb .
		)
	fi
}

# perch_promtool DIR: what Prometheus thinks of /metrics, set as PERCH_PROMTOOL.
# Its package starts a server and is ten times as large: this file alone is
# unpacked. Where Debian has none, the test says that it skips.
perch_promtool()
{
	PERCH_PROMTOOL=$1/usr/bin/promtool
	export PERCH_PROMTOOL
	if [ -x /usr/bin/promtool ]; then
		PERCH_PROMTOOL=/usr/bin/promtool
	elif [ ! -x "$PERCH_PROMTOOL" ]; then
		rm -rf "$1" && mkdir -p "$1" && (
			cd "$1" && apt-get -qq download prometheus || exit 1
			# it stops there: most of the package comes behind
			dpkg-deb --fsys-tarfile ./*.deb |
				tar -x --occurrence=1 ./usr/bin/promtool &&
				rm ./*.deb
		) || echo "no promtool: it is left out" >&2
	fi
	return 0
}

# perch_npm NAME DIR: what tests/e2e/NAME/package-lock.json says, exactly, in
# DIR/node_modules. Node is not in the list of packages: Debian 12's is older
# than these support. Without one their tests say that they skip.
perch_npm()
{
	if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
		echo "no node or no npm: $1 is left out" >&2
	elif ! cmp -s "tests/e2e/$1/package-lock.json" "$2/installed.json"; then
		rm -rf "$2" && mkdir -p "$2" &&
			cp "tests/e2e/$1"/package*.json "$2" && (
			cd "$2" && npm ci --omit=dev --no-audit --no-fund \
				--ignore-scripts --fetch-retries=1 &&
				cp package-lock.json installed.json
		) || echo "npm could not install: $1 is left out" >&2
	fi
	return 0
}

# perch_oidc DIR: oidc-provider, set as PERCH_OIDC.
perch_oidc()
{
	PERCH_OIDC=$1
	export PERCH_OIDC
	perch_npm oidc "$1"
}

# perch_werift DIR: a WebRTC stack without a browser, set as PERCH_WERIFT.
perch_werift()
{
	PERCH_WERIFT=$1
	export PERCH_WERIFT
	perch_npm werift "$1"
}

# perch_chromium LOG: a browser, and what glewlwyd's login page links to. They
# are no part of the road: without them the browser's test says that it skips.
perch_chromium()
{
	browser=chromium-headless-shell
	! command -v chromium >/dev/null || browser=
	perch_install "$1" libjs-bootstrap4 libjs-jquery libjs-popper.js \
		fonts-fork-awesome $browser ||
		echo "no chromium: the browser's test is left out" >&2
	return 0
}
