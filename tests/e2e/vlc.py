# SPDX-License-Identifier: Apache-2.0
# VLC as a stranger has it: no option says what the file is or how to read it,
# only where decoded pictures and sound go, since there is no screen here.
import os
import pathlib
import shutil

PICTURES = 5        # every so many is kept
WAV_HEAD = 44


def missing():
    for p in ("vlc", "ffmpeg"):
        if not shutil.which(p):
            return p
    return None


def live555():
    """Debian's VLC has no such plugin; one that was built apart is found by
    VLC_PLUGIN_PATH. With it VLC opens SDP files."""
    dirs = [os.environ.get("VLC_PLUGIN_PATH", "."),
            *pathlib.Path("/usr/lib").glob("*/vlc/plugins/access")]
    return any((pathlib.Path(d) / "liblive555_plugin.so").exists()
               for d in dirs)


def program(w):
    """VLC refuses root, and an agent of root serves root only: a copy that
    asks for its parent's id instead. Nothing else of it is changed."""
    if os.geteuid() != 0:
        return "vlc"
    copy = w.dir / "vlc"
    if not copy.exists():
        copy.write_bytes(pathlib.Path(shutil.which("vlc")).read_bytes()
                         .replace(b"geteuid", b"getppid"))
        copy.chmod(0o700)
    return copy


class Vlc:
    def __init__(self, w, name, file):
        self.w = w
        self.dir = w.dir / f"{name}-vlc"
        self.dir.mkdir()
        self.wav = self.dir / "sound.wav"
        env = dict(os.environ, HOME=str(self.dir), LC_ALL="C.UTF-8")
        self.proc = w.spawn(f"{name}-vlc", [
            program(w), "-I", "dummy", "-v",
            "--vout=vdummy", "--video-filter=scene", "--scene-format=png",
            f"--scene-path={self.dir}", f"--scene-ratio={PICTURES}",
            "--aout=afile", f"--audiofile-file={self.wav}", str(file)],
            env=env)

    def pictures(self):
        return sorted(self.dir.glob("*.png"))

    def brightness(self):
        """Of the last picture but one: the last may be half written."""
        r = self.w.run(["ffmpeg", "-v", "error", "-i", self.pictures()[-2],
                        "-vf", "scale=1:1", "-pix_fmt", "gray", "-f",
                        "rawvideo", self.dir / "grey"], check=False)
        return (self.dir / "grey").read_bytes()[0] if r.returncode == 0 else r

    def loud(self):
        """Pieces of 480 samples that are not silence."""
        data = self.wav.read_bytes()[WAV_HEAD:] if self.wav.exists() else b""
        data = memoryview(data[:len(data) // 2 * 2]).cast("h")
        return sum(1 for i in range(0, len(data) - 480, 480)
                   if max(data[i:i + 480]) > 1000)
