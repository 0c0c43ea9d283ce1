# security.pki: the certificate authorities that programs trust.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.security.pki;

  ownFiles =
    cfg.certificateFiles
    ++ map (text: builtins.toFile "certificate.pem" text) (
      map builtins.unsafeDiscardStringContext cfg.certificates
    );
  usual = "${cfg.cacertPackage}/etc/ssl/certs/ca-bundle.crt";

  bundle =
    if ownFiles == [ ] then
      usual
    else
      pkgs.runCommand "ca-certificates.crt" { files = lib.optional cfg.installCACerts usual ++ ownFiles; } ''
        for file in $files; do
          cat "$file"
          # A file may lack the line break at its end.
          echo
        done > $out
      '';
in
{
  options.security.pki = {
    installCACerts = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the usual authorities are trusted.";
    };
    useCompatibleBundle = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the bundle keeps to a form that old programs read. Accepted.";
    };
    cacertPackage = mkOption {
      type = types.package;
      default = pkgs.cacert;
      defaultText = lib.literalExpression "pkgs.cacert";
      internal = true;
      description = "The package with the usual authorities.";
    };
    certificateFiles = mkOption {
      type = types.listOf types.path;
      default = [ ];
      description = "Files of further authorities, in PEM form.";
    };
    certificates = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Further authorities, in PEM form.";
    };
    caCertificateBlacklist = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Names of usual authorities that are not trusted. Not available yet.";
    };
    caBundle = mkOption {
      type = types.path;
      readOnly = true;
      internal = true;
      default = bundle;
      description = "The file of all trusted authorities.";
    };
  };

  config = {
    environment.etc = lib.mkMerge [
      (lib.mkIf (cfg.installCACerts || ownFiles != [ ]) {
        "ssl/certs/ca-certificates.crt".source = bundle;
        "ssl/certs/ca-bundle.crt".source = bundle;
        "pki/tls/certs/ca-bundle.crt".source = bundle;
      })
      # OpenSSL's settings; its programs end with an error without them.
      (lib.mkIf (pkgs ? openssl) {
        "ssl/openssl.cnf".source = lib.mkDefault "${pkgs.openssl}/etc/ssl/openssl.cnf";
      })
    ];
    environment.sessionVariables = {
      NIX_SSL_CERT_FILE = lib.mkDefault "/etc/ssl/certs/ca-certificates.crt";
    };
    assertions = [
      {
        assertion = cfg.caCertificateBlacklist == [ ];
        message = "security.pki.caCertificateBlacklist is not available yet.";
      }
    ];
  };
}
