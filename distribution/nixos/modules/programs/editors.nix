# programs.vim, nano, neovim and less: editors and the pager.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  p = config.programs;
in
{
  options.programs = {
    vim = {
      enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether Vim is installed.";
      };
      defaultEditor = mkOption {
        type = types.bool;
        default = false;
        description = "Whether Vim is the editor that other programs start.";
      };
      package = lib.mkPackageOption pkgs "vim" { };
    };
    neovim = {
      enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether Neovim is installed.";
      };
      defaultEditor = mkOption {
        type = types.bool;
        default = false;
        description = "Whether Neovim is the editor that other programs start.";
      };
      package = mkOption {
        type = types.package;
        default = pkgs.neovim;
        defaultText = lib.literalExpression "pkgs.neovim";
        description = "The package.";
      };
    };
    nano = {
      enable = mkOption {
        type = types.bool;
        default = pkgs ? nano;
        defaultText = lib.literalMD "whether there is a package of it";
        description = "Whether nano is installed.";
      };
      package = mkOption {
        type = types.package;
        default = pkgs.nano;
        defaultText = lib.literalExpression "pkgs.nano";
        description = "The package.";
      };
      nanorc = mkOption {
        type = types.lines;
        default = "";
        example = "set nowrap";
        description = "Lines for nano's configuration.";
      };
      syntaxHighlight = mkOption {
        type = types.bool;
        default = true;
        description = "Whether nano colors known languages.";
      };
    };
    less = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether less is installed.";
      };
      package = lib.mkPackageOption pkgs "less" { };
      envVariables = mkOption {
        type = types.attrsOf types.str;
        default = {
          LESS = "-R";
        };
        description = "Environment variables of less.";
      };
      lessopen = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "The program that prepares files for less.";
      };
    };
  };

  config = lib.mkMerge [
    (lib.mkIf (p.vim.enable || p.vim.defaultEditor) {
      environment.systemPackages = [ p.vim.package ];
      environment.variables = lib.mkIf p.vim.defaultEditor { EDITOR = lib.mkOverride 900 "vim"; };
    })
    (lib.mkIf (p.neovim.enable || p.neovim.defaultEditor) {
      environment.systemPackages = [ p.neovim.package ];
      environment.variables = lib.mkIf p.neovim.defaultEditor { EDITOR = lib.mkOverride 900 "nvim"; };
    })
    (lib.mkIf p.nano.enable {
      environment.systemPackages = [ p.nano.package ];
      environment.etc.nanorc.text =
        p.nano.nanorc
        + lib.optionalString p.nano.syntaxHighlight ''

          include "${p.nano.package}/share/nano/*.nanorc"
        '';
    })
    (lib.mkIf p.less.enable {
      environment.systemPackages = [ p.less.package ];
      environment.variables = lib.mapAttrs (_: lib.mkDefault) (
        p.less.envVariables
        // lib.optionalAttrs (p.less.lessopen != null) { LESSOPEN = p.less.lessopen; }
      );
    })
  ];
}
