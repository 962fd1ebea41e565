#error -- unsupported GNU version! gcc versions later than 14 are not supported!
