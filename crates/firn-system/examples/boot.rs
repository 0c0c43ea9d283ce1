use firn_system::try_system::container::*;
use std::io::Read;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let spec = Spec {
        name: "t1".into(),
        toplevel: a[2].clone().into(),
        state: a[3].clone().into(),
        store: a[4].clone().into(),
        binds: vec![],
        address: free_address("t1"),
        environment: vec![],
    };
    let t = std::time::Instant::now();
    let mut c = Container::start(std::path::Path::new(&a[1]), &spec).unwrap();
    eprintln!("started {:?} {:?}", c.running(), t.elapsed());
    let mut f = std::fs::File::from(c.take_console().unwrap());
    std::thread::spawn(move || {
        let mut b = [0; 4096];
        loop {
            match f.read(&mut b) {
                Ok(n) if n > 0 => print!("{}", String::from_utf8_lossy(&b[..n])),
                _ => std::thread::sleep(std::time::Duration::from_millis(50)),
            }
        }
    });
    while !c.has_ended() {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}
