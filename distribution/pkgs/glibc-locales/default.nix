# glibc's locale archive, made from Debian's locale sources: C.UTF-8 and en_US.UTF-8, or the list that is asked for.
{
  lib,
  runCommand,
  debian,
  glibc,
  allLocales ? false,
  locales ? [
    "C.UTF-8/UTF-8"
    "en_US.UTF-8/UTF-8"
  ],
}:
runCommand "glibc-locales-${debian.glibc.version}"
  {
    sources = debian.locales;
    glibc = debian.glibc;
    # "NAME/CHARSET"; "all" stands for every one that Debian knows
    locales = if allLocales then "all" else lib.concatStringsSep " " locales;
    meta = {
      description = "Locale information for the GNU C Library";
    };
  }
  ''
    mkdir -p $out/lib/locale
    export I18NPATH=$sources/share/i18n
    if [ "$locales" = all ]; then
      locales=$(sed -E 's/^# *//; s, +,/,' "$sources/share/i18n/SUPPORTED" | grep -v '^$')
    fi
    mkdir root
    for entry in $locales; do
      name=''${entry%%/*}
      charset=''${entry##*/}
      input=''${name%%.*}
      case $name in *@*) input=$input@''${name#*@} ;; esac
      # a warning is no error
      "$glibc/bin/localedef" --no-archive -c -i "$input" -f "$charset" "root/$name" || [ -d "root/$name" ]
    done
    mkdir -p archive/usr/lib/locale
    for folder in root/*; do
      "$glibc/bin/localedef" --prefix="$PWD/archive" --add-to-archive "$folder" || true
    done
    found=$(find archive -name locale-archive | head -n 1)
    if [ -z "$found" ]; then
      echo "no locale archive was made" >&2
      exit 1
    fi
    cp "$found" $out/lib/locale/locale-archive
  ''
