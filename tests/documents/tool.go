package tool

// quixgrimblaax
func vemgrimgrimax() {}
