# What single Debian packages need beyond what the lock file says: entry name → function of its attributes → attributes that
# replace them. Only for what needs the package set; plain import parameters belong in packages.json.
{ lib, final }:
let
  # merges further import parameters into the lock's
  withSpec = more: old: {
    spec =
      old.spec
      // builtins.mapAttrs (
        key: value:
        if builtins.isList value then
          old.spec.${key} or [ ] ++ value
        else if builtins.isAttrs value then
          old.spec.${key} or { } // value
        else
          value
      ) more;
  };
  string = from: to: { inherit from to; };
in
{
  # its data beside it; what belongs to the machine where systems of this distribution have it
  glibc = withSpec {
    strings = map (s: s // { optional = true; }) [
      (string "/usr/lib/x86_64-linux-gnu/gconv" "@out@/lib/gconv")
      (string "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache" "@out@/lib/gconv/gconv-modules.cache")
      (string "/usr/lib/locale" "@out@/lib/locale")
      (string "/usr/lib/locale/locale-archive" "/run/current-system/sw/lib/locale/locale-archive")
      (string "/usr/share/zoneinfo" "/etc/zoneinfo")
    ];
  };
}
