//! Imports: what comes in is what goes out, what is known costs nothing, what is removed is given back and stays
//! removed, whatever happens on the way.

mod items;
mod made;
mod removal;
