import ArchiveCommandLine
import Glibc
import Platform

recordOffers()
let line = commandLineWords()
exit(ArchiveCommands.run(line) ?? HandOver.run(line))
