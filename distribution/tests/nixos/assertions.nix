# Reporting: assertions stop the build of a system, with all messages; warnings do not.
t:
let
  broken = t.machine {
    assertions = [
      {
        assertion = false;
        message = "first";
      }
      {
        assertion = true;
        message = "second";
      }
    ];
  };
in
{
  stop = {
    expr = t.fails broken.system.build.toplevel.drvPath;
    expected = true;
  };
  holdByDefault = {
    expr = t.failures { };
    expected = [ ];
  };
  warningsDoNotStop = {
    expr = t.fails (t.machine { warnings = [ "this warning is part of a test" ]; }).system.build.toplevel.drvPath;
    expected = false;
  };
  unknownOptionsAreErrors = {
    expr = t.fails (t.machine { services.ngnix.enable = true; }).networking.hostName;
    expected = true;
  };
  wrongTypesAreErrors = {
    expr = t.fails (t.machine { services.nginx.enable = "yes"; }).services.nginx.enable;
    expected = true;
  };
}
