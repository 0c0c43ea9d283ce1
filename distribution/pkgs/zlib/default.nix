# zlib from source, with its headers and static library as outputs of their own.
{
  lib,
  stdenv,
  fetchurl,
}:
stdenv.mkDerivation (finalAttrs: {
  pname = "zlib";
  version = "1.2.13";

  # Debian's archive leaves out the parts of contrib/ that are not free
  src = fetchurl {
    url = "mirror://debian/pool/main/z/zlib/zlib_${finalAttrs.version}.dfsg.orig.tar.bz2";
    hash = "sha256-cf63lH48AO8SX4O3mk5Sm94xFx5bq+SLOR8GdY0asKE=";
  };

  outputs = [
    "out"
    "dev"
    "static"
  ];

  # not autoconf's script
  dontDisableStatic = true;
  dontAddDisableDepTrack = true;
  enableParallelBuilding = true;
  doCheck = true;

  postInstall = ''
    moveToOutput lib/libz.a "$static"
  '';

  meta = {
    description = "Lossless data-compression library";
    homepage = "https://zlib.net";
    license = lib.licenses.zlib;
    platforms = lib.platforms.linux;
  };
})
