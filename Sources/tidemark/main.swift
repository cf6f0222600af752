import Archiving
import Glibc

exit(0)
