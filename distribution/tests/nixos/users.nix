# Users and groups, as activation receives them.
t:
let
  config = t.machine {
    users.users.alice = {
      isNormalUser = true;
      extraGroups = [
        "wheel"
        "staff"
      ];
      initialPassword = "snow";
    };
    users.extraUsers.bob = {
      isSystemUser = true;
      group = "staff";
    };
    users.groups.staff.gid = 1234;
    users.users.gone = {
      enable = false;
      isNormalUser = true;
    };
  };
  user = name: t.lib.findFirst (each: each.name == name) null config.users.specification.users;
  group = name: t.lib.findFirst (each: each.name == name) null config.users.specification.groups;
  about = module: builtins.length (t.failures module);
in
{
  normalUser = {
    expr = {
      inherit (user "alice")
        uid
        group
        extraGroups
        home
        createHome
        homeMode
        isSystemUser
        initialPassword
        hashedPassword
        ;
    };
    expected = {
      uid = null;
      group = "users";
      extraGroups = [
        "wheel"
        "staff"
      ];
      home = "/home/alice";
      createHome = true;
      homeMode = "700";
      isSystemUser = false;
      initialPassword = "snow";
      hashedPassword = null;
    };
  };
  normalUsersShell = {
    expr = (user "alice").shell;
    expected = "/run/current-system/sw/bin/bash";
  };
  systemUser = {
    expr = {
      inherit (user "bob") home shell isSystemUser;
    };
    expected = {
      home = "/var/empty";
      shell = "/run/current-system/sw/bin/nologin";
      isSystemUser = true;
    };
  };
  extraGroupsAreMembers = {
    expr = (group "staff").members;
    expected = [ "alice" ];
  };
  gid = {
    expr = (group "staff").gid;
    expected = 1234;
  };
  passwordInClear = {
    expr =
      let
        c = t.machine {
          users.users.x = {
            isNormalUser = true;
            password = "p";
          };
        };
      in
      (t.lib.findFirst (each: each.name == "x") null c.users.specification.users).initialPassword;
    expected = "p";
  };
  disabledUsersAreAbsent = {
    expr = user "gone";
    expected = null;
  };
  fixedNumbers = {
    expr = [
      (user "root").uid
      (user "nobody").uid
      (user "messagebus").uid
      (group "wheel").gid
      (group "users").gid
      (group "tty").gid
      (group "nixbld").gid
    ];
    expected = [
      0
      65534
      4
      1
      100
      3
      30000
    ];
  };
  buildUsers = {
    expr = [
      (user "nixbld1").uid
      (user "nixbld32").uid
      (user "nixbld33")
    ];
    expected = [
      30001
      30032
      null
    ];
  };
  needsAKind = {
    expr = about { users.users.x.group = "users"; };
    expected = 1;
  };
  needsAGroup = {
    expr = about { users.users.x.isSystemUser = true; };
    expected = 1;
  };
  groupHasToExist = {
    expr = about {
      users.users.x = {
        isSystemUser = true;
        group = "nothere";
      };
    };
    expected = 1;
  };
  numbersAreUnique = {
    expr = about {
      users.users.a = {
        isNormalUser = true;
        uid = 1000;
      };
      users.users.b = {
        isNormalUser = true;
        uid = 1000;
      };
    };
    expected = 1;
  };
  somebodyCanLogIn = {
    expr = about { users.mutableUsers = false; };
    expected = 1;
  };
  aKeyIsEnough = {
    expr = about {
      users.mutableUsers = false;
      users.users.root.openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA test" ];
    };
    expected = 0;
  };
  expiryAndSubordinateNumbers = {
    expr =
      let
        c = t.machine {
          users.users.a = {
            isNormalUser = true;
            expires = "2030-01-31";
          };
          users.users.b = {
            isNormalUser = true;
            subUidRanges = [
              {
                startUid = 300000;
                count = 10;
              }
            ];
            subGidRanges = [ { startGid = 400000; } ];
          };
        };
      in
      map
        (name: {
          inherit (t.lib.findFirst (each: each.name == name) null c.users.specification.users)
            expires
            autoSubUidGidRange
            subUidRanges
            subGidRanges
            ;
        })
        [
          "a"
          "b"
        ];
    expected = [
      {
        expires = "2030-01-31";
        autoSubUidGidRange = true;
        subUidRanges = [ ];
        subGidRanges = [ ];
      }
      {
        expires = null;
        autoSubUidGidRange = false;
        subUidRanges = [
          {
            startUid = 300000;
            count = 10;
          }
        ];
        subGidRanges = [
          {
            startGid = 400000;
            count = 1;
          }
        ];
      }
    ];
  };
  packagesOfAUser = {
    expr =
      (t.machine (
        { pkgs, ... }:
        {
          users.users.alice = {
            isNormalUser = true;
            packages = [ pkgs.jq ];
          };
        }
      )).environment.etc ? "profiles/per-user/alice";
    expected = true;
  };
}
