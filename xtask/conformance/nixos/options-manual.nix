# The manual of all options, whose text holds every default and description.
{ bare, ... }:
let
  build = bare { system.stateVersion = "25.11"; };
in
{
  json = build.manual.optionsJSON;
  html = build.manual.manualHTML;
}
