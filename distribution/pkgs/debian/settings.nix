# What single Debian packages need beyond what the lock file says: entry name → function of its attributes → attributes that
# replace them. Only for what needs the package set; plain import parameters belong in packages.json.
{ lib, final }:
let
  # adds import parameters to those of the lock
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
in
{
  # its library's folders are compiled in, as one text for all of them that nothing can be moved in: RUBYLIB names them
  ruby = withSpec {
    write."bin/ruby" = ''
      #!${final.debian.bash}/bin/bash
      export RUBYLIB="''${RUBYLIB:+$RUBYLIB:}@out@/lib/ruby/vendor_ruby:@out@/lib/ruby/3.1.0"
      exec -a "$0" @out@/bin/ruby3.1 "$@"
    '';
    executables = [ "bin/ruby" ];
  };
}
