//! Clusters that the setting `builders` names.

use std::path::PathBuf;
use std::sync::Arc;

use firn_build::executor::Executor;
use firn_daemon::hook::machines::Machine;
use firn_event::Logger;
use firn_fetch::FetchSettings;
use firn_reapi::Cluster;
use firn_reapi::address::ClusterSettings;
use firn_store::Settings;
use firn_store::layout::Environment;

/// The clusters that builders may run in. What makes no sense is told and left out, so that builds go on elsewhere.
pub fn executors(settings: &Settings, logger: &Logger) -> Vec<Arc<dyn Executor>> {
    let env = Environment::current();
    let read = |file: &str| std::fs::read_to_string(file);
    let Ok(machines) =
        Machine::parse_all(settings.text("builders"), settings.system(), &env, &read)
    else {
        // the build hook says what is wrong
        return Vec::new();
    };
    let mut executors: Vec<Arc<dyn Executor>> = Vec::new();
    for machine in machines {
        match ClusterSettings::parse(&machine.store) {
            Ok(None) => {}
            Ok(Some(cluster)) => {
                executors.push(Arc::new(Cluster::new(complete(cluster, machine, settings))));
            }
            Err(e) => {
                logger.warn(format!("in the setting 'builders': {e}; nothing is built there"));
            }
        }
    }
    executors
}

fn complete(cluster: ClusterSettings, machine: Machine, settings: &Settings) -> ClusterSettings {
    let ca_file = match settings.text("ssl-cert-file") {
        "" => FetchSettings::host_ca_file(),
        file => Some(PathBuf::from(file)),
    };
    ClusterSettings {
        systems: machine.systems,
        max_jobs: usize::try_from(machine.max_jobs).unwrap_or(usize::MAX),
        supported: machine.supported,
        mandatory: machine.mandatory,
        ca_file: cluster.ca_file.clone().or(ca_file),
        ..cluster
    }
}
