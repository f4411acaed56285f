use structopt::StructOpt;
fn main() {
    let c = ipa_host::cli::Cli::from_iter(ipa_host::cli::dashed(std::env::args_os()));
    println!("{c:?}");
}
