//! Imports: what comes in is what goes out, what is known costs nothing, what is removed is given back and stays
//! removed, whatever happens on the way.

mod audit;
mod damage;
pub(super) mod faults;
mod items;
mod made;
mod rebuilding;
mod removal;
mod resuming;
mod saving;
