import Glibc
import Platform

recordOffers()
exit(CommandLineTool.run(commandLineWords()))
