use firn_build::*;
use firn_event::*;
use firn_store::layout::{Environment, StoreLayout};
use firn_store::*;
struct S;
impl EventSink for S {
    fn event(&self, e: Event) {
        match e {
            Event::Message { level, text } if level <= Level::Info => {
                eprintln!("{level:?}: {text}")
            }
            Event::Start { text, kind, .. } if kind == ActivityKind::Build => eprintln!("> {text}"),
            Event::Result { report: Report::BuildLogLine(l), .. }
                if std::env::var_os("LOGS").is_some() =>
            {
                eprintln!("  | {l}")
            }
            _ => {}
        }
    }
}
fn main() {
    if std::env::args().nth(1).as_deref() == Some("__sandbox-child") {
        std::process::exit(firn_build::sandbox::child_main());
    }
    let env = Environment::current();
    let (layout, _) = StoreLayout::detect(&env).unwrap();
    let store = LocalStore::open(layout, StoreOptions::default()).unwrap();
    let mut settings = Settings::load(&env).unwrap().0;
    settings.set("max-jobs", "2").unwrap();
    let options = BuildOptions::from_settings(&settings);
    let wanted: Vec<DerivedPath> = std::env::args()
        .skip(1)
        .map(|a| DerivedPath::all_outputs(store.store_dir().parse(&a).unwrap()))
        .collect();
    let logger = Logger::new(std::sync::Arc::new(S));
    match build_paths(&store, &wanted, &options, &logger) {
        Ok(r) => println!("{:?}", r.outputs),
        Err(e) => {
            eprintln!("FAILED: {e}");
            std::process::exit(1)
        }
    }
}
