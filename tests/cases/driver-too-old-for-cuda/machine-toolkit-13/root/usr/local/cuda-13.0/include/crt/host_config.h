#error -- unsupported GNU version! gcc versions later than 15 are not supported!
