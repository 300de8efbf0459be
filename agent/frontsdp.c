/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names in the roster come from strangers' identity providers: they enter a
 * session name only with line ends taken out, and never a file name, which
 * is made of the member's id. A file appears by rename, so that a program
 * watching the directory never reads half of one.
 *
 * VLC without live555 (Debian's) has FFmpeg's reader for SDP, but never chooses
 * it by itself, and an option in a playlist that chooses it is "unsafe". A
 * location of access "file" and demux "avformat" chooses it, and of VLC's
 * playlists that a desktop knows only QuickTime's media link leaves a location
 * as it is: in M3U, PLS and XSPF "file/avformat" is no scheme, so they take it
 * for a path.
 */
#include "agent/frontsdp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/json.h"
#include "perc/log.h"

#define SDP  ".sdp"
#define LINK ".qtl"

static void
plain(char *out, size_t cap, const char *s)
{
	size_t n = 0;

	for (; s != NULL && *s != '\0' && n + 1 < cap; s++)
		out[n++] = (unsigned char)*s < ' ' ? '_' : *s;
	out[n] = '\0';
}

/* encoding "/" clock rate ["/" channels], nothing else (RFC 8866, 6.6). */
static bool
codec_ok(const char *codec)
{
	return codec != NULL && strlen(codec) < 64 &&
	    strspn(codec,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_./+") == strlen(codec);
}

/* H.264 may come in fragments (RFC 6184 section 8.1); others need nothing. */
static const char *
format_of(char out[static 64], int pt, const char *codec)
{
	out[0] = '\0';
	if (strncasecmp(codec, "H264/", 5) == 0)
		text_put(out, 64, "a=fmtp:%d packetization-mode=1\r\n", pt);
	return out;
}

int
front_sdp_text(char out[static FRONT_SDP_TEXT_MAX], const json_t *stream)
{
	const char *media = perc_json_str(stream, "media");
	const char *codec = perc_json_str(stream, "codec");
	int64_t port, pt, ssrc;
	char name[128], format[64];

	if (media == NULL ||
	    (strcmp(media, "audio") != 0 && strcmp(media, "video") != 0) ||
	    !codec_ok(codec) ||
	    perc_json_int(&port, stream, "port", 1, 65535) != 0 ||
	    perc_json_int(&pt, stream, "pt", 0, 127) != 0 ||
	    perc_json_int(&ssrc, stream, "ssrc", 0, UINT32_MAX) != 0)
		return PERC_ERR_FORMAT;
	plain(name, sizeof(name), perc_json_str(stream, "name"));
	text_put(out, FRONT_SDP_TEXT_MAX,
	    "v=0\r\no=- %lld 1 IN IP4 127.0.0.1\r\ns=%s\r\n"
	    "c=IN IP4 127.0.0.1\r\nt=0 0\r\n"
	    "m=%s %d RTP/AVP %d\r\na=rtpmap:%d %s\r\n%sa=recvonly\r\n"
	    "a=ssrc:%lld cname:%s\r\n",
	    (long long)ssrc, name[0] != '\0' ? name : "-", media, (int)port,
	    (int)pt, (int)pt, codec, format_of(format, (int)pt, codec),
	    (long long)ssrc, "perch");
	return 0;
}

int
front_sdp_link(char **out, const char *path)
{
	struct text t = { 0 };
	char part[256];
	size_t n;

	if (path[0] != '/')
		return PERC_ERR_FORMAT;
	text_add(&t,
	    "<?xml version=\"1.0\"?>\n<?quicktime "
	    "type=\"application/x-quicktime-media-link\"?>\n"
	    "<embed src=\"file/avformat://");
	for (; *path == '/'; path += n) {
		n = strcspn(++path, "/");
		text_put(part, sizeof(part), "%.*s", (int)n, path);
		text_add(&t, "/");
		text_add_escaped(&t, part);
	}
	text_add(&t, "\" autoplay=\"true\"/>\n");
	if (t.failed) {
		text_clear(&t);
		return PERC_ERR_NOMEM;
	}
	*out = t.p;
	return 0;
}

/* "m_abc-audio" and ext; false when the member is none of ours. */
static bool
file_name(char *out, size_t cap, const json_t *stream, const char *ext)
{
	const char *member = perc_json_str(stream, "member");
	const char *media = perc_json_str(stream, "media");

	if (!text_is_id(member, "m_") || media == NULL)
		return false;
	text_put(out, cap, "%s-%s%s", member, media, ext);
	return true;
}

static int
write_one(int dirfd, const char *name, const char *text)
{
	char tmp[128];
	size_t n = strlen(text);
	int fd, r = PERC_ERR_SYS;

	text_put(tmp, sizeof(tmp), ".%s.new", name);
	if ((fd = openat(dirfd, tmp,
		 O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600)) <
	    0)
		return PERC_ERR_SYS;
	if (write(fd, text, n) == (ssize_t)n &&
	    renameat(dirfd, tmp, dirfd, name) == 0)
		r = 0;
	close(fd);
	return r;
}

static int
conf_dir_open(const char *dir, const char *conf, char *path, size_t cap)
{
	text_put(path, cap, "%s/%s", dir, conf);
	if ((mkdir(dir, 0700) != 0 && errno != EEXIST) ||
	    (mkdir(path, 0700) != 0 && errno != EEXIST))
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool
is_wanted(const json_t *out, const char *file, const char *ext)
{
	char name[96];
	const json_t *s;
	size_t i;

	json_array_foreach(out, i, s)
	{
		if (file_name(name, sizeof(name), s, ext) &&
		    strcmp(name, file) == 0)
			return true;
	}
	return false;
}

/* Unlink our files that out no longer has; takes fd over. */
static void
sweep(int fd, const json_t *out)
{
	const char *ext;
	struct dirent *e;
	DIR *d;

	if ((d = fdopendir(fd)) == NULL) {
		close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		if ((ext = strrchr(e->d_name, '.')) != NULL &&
		    (strcmp(ext, SDP) == 0 || strcmp(ext, LINK) == 0) &&
		    !is_wanted(out, e->d_name, ext))
			(void)unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
}

/* One file of a stream, and its path in the stream as `member`. */
static int
stream_file(int fd, const char *dir, json_t *s, const char *ext,
    const char *member, const char *text)
{
	char name[96], *full;
	int r = PERC_ERR_FORMAT;

	if (file_name(name, sizeof(name), s, ext) &&
	    (r = write_one(fd, name, text)) != 0)
		log_warn("sdp_write file=%s", name);
	if (r != 0)
		return r;
	full = text_new("%s/%s", dir, name);
	if (full == NULL ||
	    json_object_set_new(s, member, json_string(full)) != 0)
		r = PERC_ERR_NOMEM;
	text_free(full);
	return r;
}

static void
stream_files(int fd, const char *dir, json_t *s)
{
	char text[FRONT_SDP_TEXT_MAX], *link;

	if (front_sdp_text(text, s) != 0 ||
	    stream_file(fd, dir, s, SDP, "sdp", text) != 0 ||
	    front_sdp_link(&link, perc_json_str(s, "sdp")) != 0)
		return;
	(void)stream_file(fd, dir, s, LINK, "vlc", link);
	text_free(link);
}

void
front_sdp_write(const char *dir, const char *conf, json_t *out)
{
	char path[4096];
	json_t *s;
	size_t i;
	int fd;

	if ((fd = conf_dir_open(dir, conf, path, sizeof(path))) < 0) {
		log_warn("sdp_directory path=%s", path);
		return;
	}
	json_array_foreach(out, i, s)
	{
		if (i < FRONT_SDP_STREAMS_MAX)
			stream_files(fd, path, s);
	}
	sweep(fd, out);
}

void
front_sdp_remove(const char *dir, const char *conf)
{
	char path[4096];
	int fd;

	text_put(path, sizeof(path), "%s/%s", dir, conf);
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) <
	    0)
		return;
	sweep(fd, NULL);
	(void)rmdir(path);
}
