use serde::{Deserialize, Serialize};
macro_rules! s { ($($n:ident),*) => { $( #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] pub struct $n { pub name: String } )* } }
s!(NetworkInterface, Cpu, BlockDevice, Memory, SystemVendorInfo, BootInfo, UsbDevice, TlsCertificate, Device);
