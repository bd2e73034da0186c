//! One file for each family of networks.

pub(super) mod efficientnet_lite;
