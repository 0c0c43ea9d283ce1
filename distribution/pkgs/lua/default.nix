# Lua from source: a plain Makefile, no configure script.
{
  lib,
  stdenv,
  fetchurl,
}:
stdenv.mkDerivation (finalAttrs: {
  pname = "lua";
  version = "5.4.4";

  src = fetchurl {
    url = "mirror://debian/pool/main/l/lua5.4/lua5.4_${finalAttrs.version}.orig.tar.gz";
    hash = "sha256-Fkx4SWU7gK5nvsS3RzuIS/XMjS3KBWU0dewu0nuev2E=";
  };

  # the interpreter looks for modules below its own folder
  postPatch = ''
    substituteInPlace src/luaconf.h --replace-fail '"/usr/local/"' "\"$out/\""
  '';

  buildFlags = [ "linux" ];
  installFlags = [
    "INSTALL_TOP=${placeholder "out"}"
    "INSTALL_MAN=${placeholder "out"}/share/man/man1"
  ];
  doCheck = true;
  checkPhase = ''
    runHook preCheck
    [ "$(src/lua -e 'print(6*7)')" = 42 ]
    runHook postCheck
  '';

  meta = {
    description = "Powerful, fast, lightweight, embeddable scripting language";
    homepage = "https://www.lua.org";
    license = lib.licenses.mit;
    mainProgram = "lua";
    platforms = lib.platforms.linux;
  };
})
