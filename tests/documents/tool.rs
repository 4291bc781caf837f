//! zorgrimvemax

fn blagrimwolfax() {}
