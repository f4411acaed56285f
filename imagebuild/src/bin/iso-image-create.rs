//! The program `iso-image-create`: a bootable image from a kernel and a ramdisk.

use std::process::ExitCode;

use ipa_imagebuild::iso::{self, Options};
use structopt::StructOpt;

fn main() -> ExitCode {
    match iso::create(&Options::from_args()) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("iso-image-create: {failure}");
            ExitCode::FAILURE
        }
    }
}
