//! The libp2p driver.
