import Glibc
import Platform

exit(LeanTool.run(commandLineWords()))
