# fetchFromGitHub, fetchFromGitLab, fetchgit: a source tree of a repository at one revision.
{
  lib,
  stdenvNoCC,
  fetchzip,
  git,
  cacert,
}:
let
  revision =
    {
      rev ? null,
      tag ? null,
      ...
    }:
    if tag != null then
      "refs/tags/${tag}"
    else if rev != null then
      rev
    else
      throw "a repository is fetched at a `rev` or a `tag`; give one of them";

  archive =
    url: args: extra:
    fetchzip (
      {
        name = args.name or "source";
        inherit url;
      }
      // builtins.intersectAttrs {
        hash = null;
        sha256 = null;
        sha512 = null;
        postFetch = null;
        meta = null;
        passthru = null;
      } args
      // extra
    )
    // {
      inherit (args) owner repo;
      rev = revision args;
    };

  fetchgit = lib.makeOverridable (
    {
      url,
      rev ? null,
      tag ? null,
      name ? "source",
      hash ? "",
      sha256 ? "",
      fetchSubmodules ? true,
      deepClone ? false,
      leaveDotGit ? false,
      fetchLFS ? false,
      branchName ? null,
      sparseCheckout ? [ ],
      postFetch ? "",
      meta ? { },
      ...
    }@args:
    stdenvNoCC.mkDerivation {
      inherit
        name
        url
        fetchSubmodules
        deepClone
        leaveDotGit
        postFetch
        sparseCheckout
        meta
        ;
      revision = revision args;
      builder = ./git-builder.sh;
      nativeBuildInputs = [ git ];
      outputHashMode = "recursive";
      outputHashAlgo = if hash != "" then null else "sha256";
      outputHash =
        if hash != "" then
          hash
        else if sha256 != "" then
          sha256
        else
          lib.fakeSha256;
      GIT_SSL_CAINFO = "${cacert}/etc/ssl/certs/ca-bundle.crt";
      impureEnvVars = lib.fetchers.proxyImpureEnvVars ++ [
        "GIT_PROXY_COMMAND"
        "NIX_GIT_SSL_CAINFO"
        "SOCKS_SERVER"
      ];
      preferLocalBuild = true;
      passthru = {
        inherit url;
        rev = revision args;
      };
    }
  );

  needsGit =
    args:
    args.fetchSubmodules or false
    || args.leaveDotGit or false
    || args.deepClone or false
    || args.forceFetchGit or false
    || args.sparseCheckout or [ ] != [ ];

  withoutPlace =
    args:
    removeAttrs args [
      "owner"
      "repo"
      "forceFetchGit"
      "githubBase"
      "domain"
      "group"
      "private"
      "varPrefix"
    ];
in
{
  inherit fetchgit;

  fetchFromGitHub = lib.makeOverridable (
    args@{
      owner,
      repo,
      githubBase ? "github.com",
      ...
    }:
    let
      base = "https://${githubBase}/${owner}/${repo}";
    in
    if needsGit args then
      fetchgit (withoutPlace args // { url = "${base}.git"; })
    else
      archive "${base}/archive/${revision args}.tar.gz" args {
        passthru = {
          gitRepoUrl = "${base}.git";
        };
      }
  );

  fetchFromGitLab = lib.makeOverridable (
    args@{
      owner,
      repo,
      domain ? "gitlab.com",
      group ? null,
      ...
    }:
    let
      slug = lib.concatStringsSep "/" (lib.optional (group != null) group ++ [ owner repo ]);
      escaped = lib.replaceStrings [ "/" "." ] [ "%2F" "%2E" ] slug;
      escapedRevision = lib.replaceStrings [ "+" "/" ] [ "%2B" "%2F" ] (revision args);
    in
    if needsGit args then
      fetchgit (withoutPlace args // { url = "https://${domain}/${slug}.git"; })
    else
      archive "https://${domain}/api/v4/projects/${escaped}/repository/archive.tar.gz?sha=${escapedRevision}" args {
        extension = "tar.gz";
      }
  );
}
