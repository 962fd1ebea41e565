#error -- unsupported GNU version! gcc versions later than 13 are not supported!
