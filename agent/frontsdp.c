/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names in the roster come from strangers' identity providers: they enter a
 * session name only with line ends taken out, and never a file name, which
 * is made of the member's id. A file appears by rename, so that a program
 * watching the directory never reads half of one.
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

/* "m_abc-audio.sdp"; false when the member is none of ours. */
static bool
file_name(char *out, size_t cap, const json_t *stream)
{
	const char *member = perc_json_str(stream, "member");
	const char *media = perc_json_str(stream, "media");

	if (!text_is_id(member, "m_") || media == NULL)
		return false;
	text_put(out, cap, "%s-%s.sdp", member, media);
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
is_wanted(const json_t *out, const char *file)
{
	char name[96];
	const json_t *s;
	size_t i;

	json_array_foreach(out, i, s)
	{
		if (file_name(name, sizeof(name), s) && strcmp(name, file) == 0)
			return true;
	}
	return false;
}

/* Unlink our files that out no longer has; takes fd over. */
static void
sweep(int fd, const json_t *out)
{
	struct dirent *e;
	size_t n;
	DIR *d;

	if ((d = fdopendir(fd)) == NULL) {
		close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		n = strlen(e->d_name);
		if (n > 4 && strcmp(e->d_name + n - 4, ".sdp") == 0 &&
		    !is_wanted(out, e->d_name))
			(void)unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
}

void
front_sdp_write(const char *dir, const char *conf, json_t *out)
{
	char path[4096], name[96], full[4352], text[FRONT_SDP_TEXT_MAX];
	json_t *s;
	size_t i;
	int fd;

	if ((fd = conf_dir_open(dir, conf, path, sizeof(path))) < 0) {
		log_warn("sdp_directory path=%s", path);
		return;
	}
	json_array_foreach(out, i, s)
	{
		if (i >= FRONT_SDP_STREAMS_MAX ||
		    !file_name(name, sizeof(name), s) ||
		    front_sdp_text(text, s) != 0)
			continue;
		if (write_one(fd, name, text) != 0) {
			log_warn("sdp_write file=%s", name);
			continue;
		}
		text_put(full, sizeof(full), "%s/%s", path, name);
		json_object_set_new(s, "sdp", json_string(full));
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
