# services.dbus: the system's message bus.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.dbus;

  header = ''
    <!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
      "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
  '';

  folders =
    kind:
    lib.concatMapStrings (package: ''
      <servicedir>${package}/share/dbus-1/${kind}-services</servicedir>
      <includedir>${package}/share/dbus-1/${kind}.d</includedir>
      <includedir>${package}/etc/dbus-1/${kind}.d</includedir>
    '') (lib.unique cfg.packages);

  sessionFolders = lib.concatMapStrings (package: ''
    <servicedir>${package}/share/dbus-1/services</servicedir>
    <includedir>${package}/share/dbus-1/session.d</includedir>
    <includedir>${package}/etc/dbus-1/session.d</includedir>
  '') (lib.unique cfg.packages);

  # Everybody may connect and receive; to own a name or to send, a package's policy must allow it.
  systemConf = header + ''
    <busconfig>
      <type>system</type>
      <user>messagebus</user>
      <fork/>
      <keep_umask/>
      <pidfile>/run/dbus/pid</pidfile>
      <auth>EXTERNAL</auth>
      <listen>unix:path=/run/dbus/system_bus_socket</listen>
      <policy context="default">
        <allow user="*"/>
        <deny own="*"/>
        <deny send_type="method_call"/>
        <allow send_type="signal"/>
        <allow send_requested_reply="true" send_type="method_return"/>
        <allow send_requested_reply="true" send_type="error"/>
        <allow receive_type="method_call"/>
        <allow receive_type="method_return"/>
        <allow receive_type="error"/>
        <allow receive_type="signal"/>
        <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
        <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
        <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
        <deny send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus" send_member="UpdateActivationEnvironment"/>
        <deny send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Debug.Stats"/>
        <deny send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.systemd1.Activator"/>
      </policy>
      <policy user="root">
        <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.systemd1.Activator"/>
        <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Monitoring"/>
        <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Debug.Stats"/>
      </policy>
    ${folders "system"}
      <limit name="max_match_rules_per_connection">4096</limit>
    </busconfig>
  '';

  sessionConf = header + ''
    <busconfig>
      <type>session</type>
      <keep_umask/>
      <listen>unix:tmpdir=/tmp</listen>
      <auth>EXTERNAL</auth>
      <standard_session_servicedirs/>
      <policy context="default">
        <allow send_destination="*" eavesdrop="true"/>
        <allow eavesdrop="true"/>
        <allow own="*"/>
      </policy>
    ${sessionFolders}
    </busconfig>
  '';
in
{
  options.services.dbus = {
    enable = mkOption {
      type = types.bool;
      default = true;
      internal = true;
      description = "Whether the message bus runs. systemd's own services need it.";
    };
    dbusPackage = lib.mkPackageOption pkgs "dbus" { };
    packages = mkOption {
      type = types.listOf types.path;
      default = [ ];
      description = "Packages with policies and services for the bus.";
    };
    implementation = mkOption {
      type = types.enum [
        "dbus"
        "broker"
      ];
      default = "dbus";
      description = "The program. dbus-broker is not available.";
    };
    apparmor = mkOption {
      type = types.enum [
        "enabled"
        "disabled"
        "required"
      ];
      default = "disabled";
      description = "Whether AppArmor mediates. Accepted.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.dbusPackage ];
    environment.etc."dbus-1/system.conf".text = systemConf;
    environment.etc."dbus-1/session.conf".text = sessionConf;

    users.users.messagebus = {
      uid = config.ids.uids.messagebus;
      description = "D-Bus system message bus daemon user";
      home = "/run/dbus";
      group = "messagebus";
      isSystemUser = true;
    };
    users.groups.messagebus.gid = config.ids.gids.messagebus;

    services.dbus.packages = [
      cfg.dbusPackage
      config.systemd.package
      "/run/current-system/sw"
    ];

    systemd.sockets.dbus = {
      description = "D-Bus System Message Bus Socket";
      wantedBy = [ "sockets.target" ];
      socketConfig.ListenStream = "/run/dbus/system_bus_socket";
    };
    systemd.services.dbus = {
      description = "D-Bus System Message Bus";
      documentation = [ "man:dbus-daemon(1)" ];
      requires = [ "dbus.socket" ];
      wantedBy = [ "multi-user.target" ];
      after = [ "sysinit.target" ];
      # Everything on the machine is connected to it: new policies are read without a restart.
      reloadIfChanged = true;
      restartTriggers = [ config.environment.etc."dbus-1/system.conf".source ];
      serviceConfig = {
        ExecStart = "${cfg.dbusPackage}/bin/dbus-daemon --config-file=/etc/dbus-1/system.conf --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only";
        ExecReload = "${cfg.dbusPackage}/bin/dbus-send --print-reply --system --type=method_call --dest=org.freedesktop.DBus / org.freedesktop.DBus.ReloadConfig";
        OOMScoreAdjust = "-900";
      };
    };

    systemd.user.sockets.dbus = {
      description = "D-Bus User Message Bus Socket";
      wantedBy = [ "sockets.target" ];
      socketConfig = {
        ListenStream = "%t/bus";
        ExecStartPost = "-${config.systemd.package}/bin/systemctl --user set-environment DBUS_SESSION_BUS_ADDRESS=unix:path=%t/bus";
      };
    };
    systemd.user.services.dbus = {
      description = "D-Bus User Message Bus";
      requires = [ "dbus.socket" ];
      restartIfChanged = false;
      serviceConfig = {
        ExecStart = "${cfg.dbusPackage}/bin/dbus-daemon --config-file=/etc/dbus-1/session.conf --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only";
        ExecReload = "${cfg.dbusPackage}/bin/dbus-send --print-reply --session --type=method_call --dest=org.freedesktop.DBus / org.freedesktop.DBus.ReloadConfig";
      };
    };

    assertions = [
      {
        assertion = cfg.implementation == "dbus";
        message = "services.dbus.implementation is \"broker\", but dbus-broker is not available.";
      }
    ];
  };
}
