"""A zip from a stranger: what is taken, what is left out and why, and what is refused as a whole."""

import io
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan.data import archives
from gan.data.archives import Archive

SUFFIXES = {".png"}


def picture(color: str = "red", side: int = 12) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), color).save(buffer, "PNG")
    return buffer.getvalue()


def entry(name: str, mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, method
    return info


def make(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes | str]) -> Path:
    """A zip of (name or ZipInfo, content)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


def open_zip(path: Path) -> tuple[list[str], list[str], list[bytes | str]]:
    with Archive(path, SUFFIXES) as archive:
        return ["/".join(m.parts) for m in archive.members], archive.left_out.sentences, [archive.read(m) for m in archive.members]


def test_images_are_found_sorted_and_read(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", ("pets/dogs/1.png", picture("blue")), ("pets/cats/", ""), ("pets/cats/2.PNG", picture()))
    names, skipped, contents = open_zip(path)
    assert names == ["pets/cats/2.PNG", "pets/dogs/1.png"] and skipped == []
    assert contents == [picture(), picture("blue")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/x.png", "starts at the root of a disk"),
        ("C:\\x.png", "starts at the root of a disk"),
        ("../../x.png", "leads out of the archive"),
        ("a\\..\\..\\x.png", "leads out of the archive"),
        (entry("link.png", stat.S_IFLNK | 0o777), "is a link"),
        (entry("pipe.png", stat.S_IFIFO | 0o777), "not a regular file"),
        ("more.zip", "archive inside the zip"),
        ("more.tar.gz", "archive inside the zip"),
        ("notes.txt", "ends in .txt, not like an image"),
        ("photo.HEIC", "is a HEIC photo; convert it to JPEG or PNG"),
        ("labels", "has no file ending"),
        ("a/.hidden.png", "is hidden"),
        (entry("b.png", method=zipfile.ZIP_BZIP2), "compressed with method 12"),
        (entry("l.png", method=zipfile.ZIP_LZMA), "compressed with method 14"),
    ],
)
def test_what_is_left_out_has_its_reason(tmp_path: Path, name: str | zipfile.ZipInfo, reason: str) -> None:
    names, skipped, _ = open_zip(make(tmp_path / "a.zip", (name, picture()), ("good.png", picture())))
    assert names == ["good.png"]
    assert len(skipped) == 1 and reason in skipped[0]


def test_litter_is_not_worth_a_word_and_a_systems_folder_one(tmp_path: Path) -> None:
    litter = [".DS_Store", "._a.png", "a/Thumbs.db", "a/", "./", "desktop.ini"]
    systems = ["__MACOSX/._1.png", "__MACOSX/2.png", "__MACOSX/a/3.png", ".git/x.png", "a/@eaDir/1.png", "a/.thumbnails/1.png"]
    path = make(tmp_path / "a.zip", *((name, picture()) for name in (*litter, *systems)), ("a/1.png", picture()))
    names, left_out, _ = open_zip(path)
    assert names == ["a/1.png"]
    assert left_out == [f"{folder}: is a system folder" for folder in ("__MACOSX", ".git", "a/@eaDir", "a/.thumbnails")]


def test_names_are_never_paths_so_odd_ones_do_no_harm(tmp_path: Path) -> None:
    odd = [
        "CON.png",
        "x" * 300 + ".png",
        "line\nbreak.png",
        "\u202egnp.exe.png",
        "[link](http://x).png",
        "ä/ö.png",
        "cats\\1.png",
        "nul/a.png",
    ]
    names, skipped, contents = open_zip(make(tmp_path / "a.zip", *((name, picture()) for name in odd)))
    assert len(names) == len(odd) and not skipped and set(contents) == {picture()}
    assert "cats/1.png" in names and "ä/ö.png" in names
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip"]
    assert archives.printable("line\nbreak\u202e") == "line\ufffdbreak\ufffd" and len(archives.printable("x" * 300)) == 100


def test_utf8_that_does_not_say_so_is_read_as_it_was_meant(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", ("Xpfel/1.png", picture()))
    path.write_bytes(path.read_bytes().replace(b"Xpfel/1.png", "Äpfl/1.png".encode()))
    assert open_zip(path)[0] == ["Äpfl/1.png"]


def test_the_first_of_equal_names_is_used(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = make(tmp_path / "a.zip", ("a.png", picture()), ("a.png", picture("blue")))
    names, skipped, contents = open_zip(path)
    assert (names, contents) == (["a.png"], [picture()]) and "more than once" in skipped[0]


def test_an_encrypted_file_is_left_out(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", ("secret.png", picture()))
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    assert "is encrypted" in open_zip(path)[1][0]


def test_a_wrong_checksum_and_a_wrong_size_are_sentences(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", (entry("a.png", method=zipfile.ZIP_STORED), picture()), ("b.png", picture()))
    content = path.read_bytes()
    path.write_bytes(content.replace(picture(), picture()[:-1] + b"!", 1))
    assert "is damaged in the zip (Bad CRC-32" in open_zip(path)[2][0]
    # The table of contents says that one byte more comes than does, or one less.
    for says, reason in ((len(picture()) + 1, "cut short"), (len(picture()) - 1, "Bad CRC-32")):
        at = content.rindex(b"PK\x01\x02") + 24
        path.write_bytes(content[:at] + struct.pack("<I", says) + content[at + 4 :])
        assert reason in open_zip(path)[2][1]


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 100, b"PK\x03\x04" + bytes(500)])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match="is not a zip file, or is cut short or damaged"):
        open_zip(tmp_path / "a.zip")


def test_a_truncated_zip_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", *((f"{i}.png", picture()) for i in range(20)))
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ValueError, match="cut short or damaged"):
            open_zip(path)


def test_a_file_that_unpacks_to_too_much_is_left_out_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_FILE", 2**20)
    names, skipped, _ = open_zip(make(tmp_path / "a.zip", ("bomb.png", bytes(3 * 2**20)), ("a.png", picture())))
    assert names == ["a.png"] and skipped == ["bomb.png: unpacks to 3 MiB; the limit is 1 MiB"]


def test_bombs_are_refused_from_the_table_of_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "a.zip", *((f"{i}.png", bytes(2**20)) for i in range(5)))
    monkeypatch.setattr(archives, "FREE_UNPACKED", 4 * 2**20)
    with pytest.raises(ValueError, match=r"unpacks to [\d,]+ times its size, which image files never do; the limit is 100 times"):
        open_zip(path)
    monkeypatch.setattr(archives, "LARGEST_UNPACKED", 2**20)
    with pytest.raises(ValueError, match="the limit is 0 GiB: split it"):
        open_zip(path)


def test_a_million_files_are_refused_before_an_object_is_made_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0) + b"a.png"
    count = 1_000_000
    directory = header * count
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(directory), 0, 0)
    (tmp_path / "a.zip").write_bytes(directory + end)
    monkeypatch.setattr(zipfile, "ZipInfo", None)  # calling it would fail
    with pytest.raises(ValueError, match="holds about 1,000,000 files; the limit is 250,000"):
        open_zip(tmp_path / "a.zip")
    monkeypatch.setattr(archives, "LARGEST_CONTENTS", 2**20)
    with pytest.raises(ValueError, match="table of contents of more than 1 MiB"):
        open_zip(tmp_path / "a.zip")


def contents(count: int, extra: bytes, name: bytes = b"a.png") -> bytes:
    """A zip that is nothing but a table of contents with extra fields."""
    header = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, len(name), len(extra), 0, 0, 0, 0, 0)
    directory = (header + name + extra) * count
    return directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), 0, 0)


@pytest.mark.parametrize(
    ("count", "fields", "reason"),
    [
        (1000, 16_000, "has a file with 64,000 bytes of extra fields; the limit is 4,096"),
        (16_000, 1000, "has 61 MiB of extra fields, more than image files need"),
    ],
)
def test_megabytes_of_extra_fields_are_refused_before_zipfile_goes_through_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, fields: int, reason: str
) -> None:
    (tmp_path / "a.zip").write_bytes(contents(count, b"\xfe\xca\0\0" * fields))
    monkeypatch.setattr(zipfile, "ZipInfo", None)  # calling it would fail
    with pytest.raises(ValueError, match=reason):
        open_zip(tmp_path / "a.zip")


def test_the_extra_fields_that_tools_write_are_no_matter(tmp_path: Path) -> None:
    info = entry("a.png")
    info.extra = struct.pack("<HH", 0xCAFE, 4092) + bytes(4092)
    assert open_zip(make(tmp_path / "a.zip", (info, picture())))[2] == [picture()]
    (tmp_path / "b.zip").write_bytes(contents(20_000, b"\xfe\xca\x20\0" + bytes(32)))
    assert open_zip(tmp_path / "b.zip")[0] == ["a.png"]


def test_damage_anywhere_is_a_sentence(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", *((f"class {i % 2}/{i}.png", picture()) for i in range(4)), ("ö.png", picture()))
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(1500):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 6)):
            damaged[at] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            _, skipped, contents = open_zip(path)
        except ValueError:
            continue
        assert all(isinstance(content, (bytes, str)) for content in contents) and all(isinstance(line, str) for line in skipped)


def test_deflate64_is_a_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", ("a.png", picture()), ("b.png", picture()))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 10
    content[at : at + 2] = struct.pack("<H", archives.DEFLATE64)
    path.write_bytes(content)
    names, left_out, _ = open_zip(path)
    assert names == ["b.png"] and left_out == [
        "a.png: is compressed with Deflate64, which cannot be read; unpack the zip and zip it again (7-Zip: method Deflate)"
    ]


@pytest.mark.parametrize(("encoding", "classes"), [("cp932", ("ネコ", "表", "犬")), ("gbk", ("猫", "狗", "汽车"))])
def test_names_in_shift_jis_and_gbk_are_read_as_they_were_meant(tmp_path: Path, encoding: str, classes: tuple[str, ...]) -> None:
    raw = [folder.encode(encoding) + b"/1.png" for folder in classes]
    plain = [f"{'x' * (len(name) - 7)}{i}/1.png"[-len(name) :] for i, name in enumerate(raw)]
    path = make(tmp_path / "a.zip", *((name, picture()) for name in plain))
    content = path.read_bytes()
    for name, other in zip(plain, raw, strict=True):
        content = content.replace(name.encode(), other)
    path.write_bytes(content)
    names, left_out, contents = open_zip(path)
    assert sorted(names) == sorted(f"{folder}/1.png" for folder in classes) and not left_out and set(contents) == {picture()}


def test_a_stranger_cannot_fill_the_memory_with_reasons(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", *((f"a.x{chr(97 + i // 26)}{chr(97 + i % 26)}", b"") for i in range(300)), ("a.png", picture()))
    with Archive(path, SUFFIXES) as archive:
        assert len(archive.left_out) == 300 and len(archive.left_out.reasons) <= 101 and archive.left_out.reasons["other reasons"] == 200
