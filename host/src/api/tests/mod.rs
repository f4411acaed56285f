//! The API over real sockets, with fake managers behind it.

mod client;
mod commands;
mod limits;
mod pages;
mod shutdown;
mod upstream;
