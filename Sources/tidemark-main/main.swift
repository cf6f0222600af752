import Glibc
import Platform

recordOffers()
withEnoughStack { exit(CommandLineTool.run(commandLineWords())) }
