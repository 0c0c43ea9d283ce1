# A mail server.
{ machine, ... }:
machine {
  networking.domain = "example.org";
  services.postfix = {
    enable = true;
    settings.main.myhostname = "mail.example.org";
  };
  services.dovecot2.enable = true;
  services.rspamd = {
    enable = true;
    postfix.enable = true;
  };
  services.fail2ban.enable = true;
  services.openssh = {
    enable = true;
    settings.PasswordAuthentication = false;
  };
}
