//! The worker as a whole: from splits on disk to models, maps and leases.

mod ahead;
mod checkpoints;
mod clouds;
mod folder;
mod heirs;
mod items;
mod learning;
mod leases;
mod limits;
mod maps;
mod modules;
mod needs;
mod node;
mod packed;
mod pairs;
mod partitioned;
mod pinned;
mod predict;
mod programs;
mod seams;
mod similarity;
mod streaming;
mod world;
