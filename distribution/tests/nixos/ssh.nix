# The SSH server and client.
t:
let
  config = t.machine {
    services.openssh = {
      enable = true;
      ports = [
        22
        2222
      ];
      settings.PermitRootLogin = "no";
      settings.MaxAuthTries = 3;
      settings.AllowUsers = [
        "alice"
        "bob"
      ];
      extraConfig = "Match User alice\n  PasswordAuthentication no\n";
    };
    users.users.alice = {
      isNormalUser = true;
      openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA alice" ];
    };
    programs.ssh.knownHosts.other.publicKey = "ssh-ed25519 BBBB";
  };
  # The text goes through sshd's own check when it is built.
  text = config.environment.etc."ssh/sshd_config".source.text;
in
{
  settings = {
    expr = map (t.line text) [
      "PermitRootLogin no"
      "MaxAuthTries 3"
      "AllowUsers alice bob"
      "UsePAM yes"
      "Port 22"
      "Port 2222"
      "HostKey /etc/ssh/ssh_host_ed25519_key"
      "AuthorizedKeysFile %h/.ssh/authorized_keys /etc/ssh/authorized_keys.d/%u"
    ];
    expected = [
      true
      true
      true
      true
      true
      true
      true
      true
    ];
  };
  matchBlocksComeLast = {
    expr = t.lib.hasSuffix "Match User alice\n  PasswordAuthentication no\n" text;
    expected = true;
  };
  firewall = {
    expr = config.networking.firewall.allowedTCPPorts;
    expected = [
      22
      2222
    ];
  };
  firewallStaysShut = {
    expr =
      (t.machine {
        services.openssh.enable = true;
        services.openssh.openFirewall = false;
      }).networking.firewall.allowedTCPPorts;
    expected = [ ];
  };
  authorizedKeys = {
    expr = [
      config.environment.etc."ssh/authorized_keys.d/alice".text
      config.environment.etc."ssh/authorized_keys.d/alice".mode
    ];
    expected = [
      "ssh-ed25519 AAAA alice\n"
      "0444"
    ];
  };
  keysAreMadeFirst = {
    expr = [
      config.systemd.services.sshd.after
      (t.has "ssh-keygen -q -t ed25519" config.systemd.services.sshd-keygen.script)
    ];
    expected = [
      [
        "network.target"
        "sshd-keygen.service"
      ]
      true
    ];
  };
  knownHosts = {
    expr = t.line (t.etc config "ssh/ssh_known_hosts") "other ssh-ed25519 BBBB";
    expected = true;
  };
  pam = {
    expr = config.environment.etc ? "pam.d/sshd";
    expected = true;
  };
}
