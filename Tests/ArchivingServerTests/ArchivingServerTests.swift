import Support
import Testing
