# Numbers of users and groups that are the same on every machine, because files and other systems refer to them.
{ lib, ... }:
{
  options.ids = {
    uids = lib.mkOption {
      internal = true;
      type = lib.types.attrsOf lib.types.int;
      description = "Numbers of users.";
    };
    gids = lib.mkOption {
      internal = true;
      type = lib.types.attrsOf lib.types.int;
      description = "Numbers of groups.";
    };
  };

  config.ids = {
    uids = {
      root = 0;
      messagebus = 4;
      nginx = 60;
      systemd-coredump = 151;
      systemd-network = 152;
      systemd-resolve = 153;
      systemd-timesync = 154;
      nixbld = 30000;
      nobody = 65534;
    };
    gids = {
      root = 0;
      wheel = 1;
      kmem = 2;
      tty = 3;
      messagebus = 4;
      disk = 6;
      floppy = 18;
      uucp = 19;
      lp = 20;
      cdrom = 24;
      tape = 25;
      audio = 17;
      video = 26;
      dialout = 27;
      adm = 55;
      utmp = 29;
      nginx = 60;
      systemd-journal = 62;
      keys = 96;
      users = 100;
      systemd-network = 152;
      systemd-resolve = 153;
      systemd-timesync = 154;
      input = 174;
      sgx = 304;
      kvm = 302;
      render = 303;
      clock = 327;
      shadow = 318;
      nixbld = 30000;
      nogroup = 65534;
    };
  };
}
