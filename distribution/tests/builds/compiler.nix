# The wrapped compiler and linker: C, C++, shared and static, response files, libraries from inputs, RUNPATH.
{ pkgs, lib }:
{
  inherit (pkgs) hello zlib lua;

  compile = pkgs.runCommandCC "compile" { } ''
    cat > main.c <<'X'
    #include <stdio.h>
    #include <math.h>
    #include <crypt.h>
    int f(void);
    int main(int c, char **v) { printf("%d %.1f %d\n", f(), sin(c - 1), crypt("a", "ab") != 0); return 0; }
    X
    echo 'int f(void) { return 42; }' > f.c
    cat > main.cc <<'X'
    #include <iostream>
    #include <thread>
    #include <vector>
    int main() {
      std::vector<int> v{1, 2};
      std::thread t([&] { v.push_back(3); });
      t.join();
      try { throw 1; } catch (int) { std::cout << v.size() << "\n"; }
    }
    X
    expect() { [ "$1" = "$2" ] || { echo "expected '$2', got '$1'"; exit 1; }; }

    $CC -O2 main.c f.c -lm -lcrypt -o whole
    expect "$(./whole)" "42 0.0 1"
    $CXX -O2 main.cc -o plus
    expect "$(./plus)" 3
    $CC -x c++ main.cc -lstdc++ -o plus2
    expect "$(./plus2)" 3

    $CC -shared f.c -o libf.so
    $CC -c f.c && ar cr libg.a f.o
    $CC main.c -L. -lg -lm -lcrypt -o withArchive
    expect "$(./withArchive)" "42 0.0 1"
    $CC main.c -L. -lf -lm -lcrypt -o withShared
    expect "$(LD_LIBRARY_PATH=. ./withShared)" "42 0.0 1"
    $CC -static main.c f.c -lm -lcrypt -o static
    expect "$(./static)" "42 0.0 1"
    $CC -flto -O2 main.c f.c -lm -lcrypt -o lto
    expect "$(./lto)" "42 0.0 1"
    echo "-O2 -o fromFile main.c f.c -lm -lcrypt" > arguments
    $CC @arguments
    expect "$(./fromFile)" "42 0.0 1"
    $CC -r f.o -o relocatable.o
    $CC -E - < f.c > /dev/null
    $CC -M f.c

    # what is made needs the C library and no part of the compiler
    readelf -d whole | grep RUNPATH | grep -v gcc-12
    readelf -l whole | grep -q 'interpreter: /nix/store/'
    touch $out
  '';

  libraries =
    pkgs.runCommandCC "libraries"
      {
        nativeBuildInputs = [ pkgs.pkg-config ];
        buildInputs = with pkgs; [
          curl
          gmp
          libuuid
          libxml2
          ncurses
          openssl
          readline
          sqlite
          systemd
          xz
          zlib
        ];
      }
      ''
        cat > a.c <<'X'
        #include <curl/curl.h>
        #include <gmp.h>
        #include <libxml/parser.h>
        #include <lzma.h>
        #include <ncurses.h>
        #include <openssl/ssl.h>
        #include <sqlite3.h>
        #include <stdio.h>
        #include <readline/readline.h>
        #include <systemd/sd-daemon.h>
        #include <uuid/uuid.h>
        #include <zlib.h>
        int main(void) {
          uuid_t id;
          uuid_generate(id);
          printf("%s %s %s %s %s %s\n", curl_version(), sqlite3_libversion(), lzma_version_string(), gmp_version, zlibVersion(),
                 OpenSSL_version(0));
          return rl_library_version == 0 || sd_booted() < 0 || curses_version() == 0;
        }
        X
        $CC a.c -o a $(pkg-config --cflags --libs libcurl sqlite3 ncurses readline libxml-2.0 liblzma uuid libsystemd openssl zlib) -lgmp
        ./a
        touch $out
      '';
}
