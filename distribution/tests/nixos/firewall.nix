# The packet filter: what the options become in nftables' language.
t:
let
  rules = module: (t.machine module).networking.nftables.tables.nixos-fw.content;
  some = rules {
    networking.firewall = {
      allowedTCPPorts = [
        443
        80
        80
      ];
      allowedTCPPortRanges = [
        {
          from = 8000;
          to = 8010;
        }
      ];
      allowedUDPPorts = [ 53 ];
      interfaces.wg0.allowedTCPPorts = [ 9100 ];
      trustedInterfaces = [ "br0" ];
      extraInputRules = "ip saddr 192.0.2.1 accept";
    };
  };
in
{
  portsAreSortedAndUnique = {
    expr = t.line some "tcp dport { 80, 443, 8000-8010 } accept";
    expected = true;
  };
  udp = {
    expr = t.line some "udp dport { 53 } accept";
    expected = true;
  };
  perInterface = {
    expr = t.line some ''iifname "wg0" tcp dport { 9100 } accept'';
    expected = true;
  };
  trusted = {
    expr = t.line some ''iifname { "br0", "lo" } accept comment "trusted interfaces"'';
    expected = true;
  };
  extraRules = {
    expr = t.line some "ip saddr 192.0.2.1 accept";
    expected = true;
  };
  nothingElseComesIn = {
    expr = t.line some "type filter hook input priority filter; policy drop;";
    expected = true;
  };
  pingByDefault = {
    expr = t.has "icmp type echo-request accept" some;
    expected = true;
  };
  noPing = {
    expr = t.has "echo-request" (rules {
      networking.firewall.allowPing = false;
    });
    expected = false;
  };
  looseReversePath = {
    expr = t.has "fib saddr . mark oif exists accept" (rules {
      networking.firewall.checkReversePath = "loose";
    });
    expected = true;
  };
  noReversePath = {
    expr = t.has "rpfilter" (rules {
      networking.firewall.checkReversePath = false;
    });
    expected = false;
  };
  reject = {
    expr = t.has "reject with tcp reset" (rules {
      networking.firewall.rejectPackets = true;
    });
    expected = true;
  };
  off = {
    expr = (t.machine { networking.firewall.enable = false; }).networking.nftables.enable;
    expected = false;
  };
  iptablesCommandsAreRefused = {
    expr = builtins.length (t.failures { networking.firewall.extraCommands = "iptables -A INPUT"; });
    expected = 1;
  };
  rangesHaveTwoEnds = {
    expr = builtins.length (t.failures { networking.firewall.allowedTCPPortRanges = [ { from = 1; } ]; });
    expected = 1;
  };
  portsAreChecked = {
    expr = t.fails (t.machine { networking.firewall.allowedTCPPorts = [ 70000 ]; })
      .networking.firewall.allowedTCPPorts;
    expected = true;
  };
}
