import Glibc
import Platform

exit(CommandLineTool.run(commandLineWords()))
